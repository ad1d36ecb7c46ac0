import type { Brand, InodeId } from './ids.ts';
import type { Name } from './names.ts';
import type { QuotaLimits } from './quota.ts';

/** Nanoseconds since the epoch. */
export type Nanos = bigint;

/** The years 1698 to 2242: what 34 bits of seconds hold, of the 64 in which a row keeps a time. */
export const TIME_MIN: Nanos = -(2n ** 33n) * 1_000_000_000n;
export const TIME_MAX: Nanos = 2n ** 33n * 1_000_000_000n - 1n;

/** The nearest time that a row can keep, as Linux does with a file system of fewer bits. */
export function heldTime(time: Nanos): Nanos {
  return time < TIME_MIN ? TIME_MIN : time > TIME_MAX ? TIME_MAX : time;
}

/** Some stores hold times a little coarser than we do: Node gives local files theirs as doubles, which round by some 100 ns. */
const TIME_GRAIN: Nanos = 1000n;

export function isSameTime(a: Nanos, b: Nanos): boolean {
  return a - b < TIME_GRAIN && b - a < TIME_GRAIN;
}

/** What a store calls a version of an object (ETag, or size-mtime-id): equal fingerprints mean equal bytes. */
export type Fingerprint = Brand<string, 'Fingerprint'>;

export type MountId = Brand<string, 'MountId'>;
/** Byte string, relative to the mount: `''` is the mount itself, `a/b` lies below; never a slash at either end. */
export type StoreKey = Brand<string, 'StoreKey'>;

export function childKey(directory: StoreKey, name: string): StoreKey {
  return (directory === '' ? name : `${directory}/${name}`) as StoreKey;
}

/** Where a file's bytes, or a directory's children, lie. */
export interface Origin {
  readonly mount: MountId;
  readonly key: StoreKey;
}

/** What a store can keep. */
export type StoredKind = 'file' | 'directory' | 'symlink';
/** What has no bytes of its own, but is spoken through, or stands for a device: in the namespace only, whatever is mounted. */
export type SpecialKind = 'fifo' | 'socket' | 'character' | 'block';
export type InodeKind = StoredKind | SpecialKind;

/** One of the names of an inode that has several: the key of the row there. */
export interface HardLink {
  readonly directory: InodeId;
  readonly name: Name;
}

export const isAt = (link: HardLink, key: HardLink): boolean =>
  link.directory === key.directory && link.name === key.name;

/** A directory that is being removed takes no new entries until `until` (milliseconds since the epoch). */
export interface Closing {
  readonly token: string;
  readonly until: number;
}

/** `holder` is the agent that has the bytes. */
export interface Dirty {
  readonly holder: string;
}

export interface Inode {
  readonly kind: InodeKind;
  readonly id: InodeId;
  /** Permission bits with setuid, setgid and sticky: 12 bits, no file type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; of a symlink the length of its target; of a directory 0. */
  readonly size: number;
  readonly atime: Nanos;
  readonly mtime: Nanos;
  readonly ctime: Nanos;
  /** When this row was made here, milliseconds since the epoch. Absent: it was loaded from a store, so it is settled. */
  readonly bornAt?: number;
  /** Counts every write of this row; conditions compare it. */
  readonly version: number;
  /** Counts the contents this file has had: cached bytes belong to (id, generation). */
  readonly generation: number;
  /** Set on what exists in an under-store. A row on a mount without one is not there yet, or never will be. */
  readonly fingerprint?: Fingerprint;
  /** Absent: the directory's origin with this row's name added. */
  readonly origin?: Origin;
  /** Of a mount point. */
  readonly mount?: MountId;
  /** Of a symlink; a byte string. */
  readonly target?: string;
  /** Values are byte strings. */
  readonly xattrs?: Readonly<Record<string, string>>;
  /** Of a directory on a mount: when its listing was last complete, milliseconds since the epoch. */
  readonly listedAt?: number;
  readonly closing?: Closing;
  /** Of a file: its bytes lie at one agent, and its store has an older content (that of `fingerprint`) or none. */
  readonly dirty?: Dirty;
  /** Of a character or block device: its number, as st_rdev. */
  readonly device?: number;
  /** Of an inode with several names: all of them. At each stands the same row (`shared/namespace/hard-links.ts`). */
  readonly links?: readonly HardLink[];
  /** Of a directory: what may lie below it (`shared/namespace/quotas.ts`). */
  readonly quota?: QuotaLimits;
}

/** What is not an inode but is kept beside them: mounts, intents, tokens, places. `body` is JSON text. */
export interface RecordRow {
  readonly kind: 'record';
  readonly version: number;
  readonly body: string;
  /** Milliseconds since the epoch: from then on nobody needs it, and whoever comes by may take it away. */
  readonly expiresAt?: number;
}

export type Row = Inode | RecordRow;

export interface Entry {
  readonly name: Name;
  readonly inode: Inode;
}

export function isSpecialKind(kind: InodeKind): kind is SpecialKind {
  return kind !== 'file' && kind !== 'directory' && kind !== 'symlink';
}
