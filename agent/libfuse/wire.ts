import { LeatError } from '#shared/model/faults.ts';
import { inodeNumber } from '#shared/model/ids.ts';
import type { Inode, Nanos } from '#shared/model/inode.ts';
import { NAME_BYTES_MAX, type Path, parsePath } from '#shared/model/names.ts';
import type { Capacity } from '../capacity.ts';
import { TYPE_BITS } from '../fuse/node-kinds.ts';

const STAT_INTS = 18;
const STATFS_INTS = 11;
const BLOCK = 4096;
const FILES = 2 ** 31;
const UINT = 2 ** 32;
const NANOS_PER_MS = 1_000_000n;
/** Where the two times lie in what fuse-native keeps of an operation, of its version 2.2.6 on 64 bits. */
const ATIME_AT = 104;
const MTIME_AT = 112;
/** What bytes that are not UTF-8 have become on their way here. */
const LOST = '\uFFFD';

/** The numbers of a `struct stat` as fuse-native takes them: 32 bits of the inode's number, and times in milliseconds since 1970. */
export function statOf(inode: Inode): Uint32Array {
  const ints = new Uint32Array(STAT_INTS);
  ints[0] = TYPE_BITS[inode.kind] | inode.mode;
  ints[1] = inode.uid;
  ints[2] = inode.gid;
  setLong(ints, 3, inode.size);
  ints[6] = inode.links?.length ?? 1;
  ints[7] = inodeNumber(inode.id) % UINT || 1; // C libraries take an entry of the number 0 for one that is gone
  ints[8] = inode.device ?? 0;
  ints[9] = BLOCK;
  setLong(ints, 10, Math.ceil(inode.size / 512));
  for (const [i, time] of [inode.atime, inode.mtime, inode.ctime].entries()) {
    setLong(ints, 12 + 2 * i, time < 0n ? 0 : Number(time / NANOS_PER_MS));
  }
  return ints;
}

/** The numbers of a `struct statvfs`; counts of blocks have 32 bits, so that blocks are as large as it takes. */
export function statfsOf({ total, free, files, filesFree }: Capacity): Uint32Array {
  let block = BLOCK;
  while (total / block >= UINT) block *= 2;
  const blocksFree = Math.floor(free / block);
  const ints = new Uint32Array(STATFS_INTS);
  ints.set([
    block,
    block,
    Math.floor(total / block),
    blocksFree,
    blocksFree,
    Math.min(files, FILES),
    Math.min(filesFree, FILES),
    Math.min(filesFree, FILES),
    0,
    0,
    NAME_BYTES_MAX,
  ]);
  return ints;
}

export const NO_STAT = new Uint32Array(STAT_INTS);
export const NO_STATFS = new Uint32Array(STATFS_INTS);

/** fuse-native reads paths as UTF-8. What was lost of one that is none would lead to another file, so it leads nowhere. */
export function pathOf(text: string): Path {
  return parsePath(textOf(text));
}

export function textOf(text: string): string {
  if (!text.includes(LOST)) return text;
  throw new LeatError(
    'invalid',
    `${text}: fuse.driver=libfuse tells no names that are not UTF-8; use fuse.driver=kernel`,
  );
}

/** A 64-bit number that came as two. */
export function long(low: number, high: number): number {
  return high * UINT + low;
}

/**
 * What utimens(2) is to set. fuse-native hands over the access time twice, and the other not at all; it lies beside the first
 * in what is kept of the operation, milliseconds as 64 bits each. Were it laid out otherwise, the first would not be there.
 */
export function timesIn(native: Buffer, [low = 0, high = 0]: readonly number[]): { atime: Nanos; mtime: Nanos } {
  const given = BigInt(low) + (BigInt(high) << 32n);
  const isThere = native.readBigUInt64LE(ATIME_AT) === given;
  const atime = isThere ? native.readBigInt64LE(ATIME_AT) : given;
  const mtime = isThere ? native.readBigInt64LE(MTIME_AT) : given;
  return { atime: atime * NANOS_PER_MS, mtime: mtime * NANOS_PER_MS };
}

function setLong(ints: Uint32Array, at: number, value: number): void {
  ints[at] = value % UINT;
  ints[at + 1] = Math.floor(value / UINT);
}
