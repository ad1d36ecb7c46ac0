import { invariant, LeatError } from './faults.ts';
import { type InodeId, LONG_NUMBER_MASK } from './ids.ts';
import type { Closing, Fingerprint, HardLink, Inode, InodeKind, MountId, Origin, Row, StoreKey } from './inode.ts';
import type { Name } from './names.ts';
import type { QuotaLimits } from './quota.ts';
import { decodeRecord, encodeRecord } from './record-codec.ts';
import { RowReader, RowWriter } from './row-bytes.ts';
import { CODEC_VERSION, KINDS, kindOf } from './row-layout.ts';

/**
 * One row as bytes, little-endian. A row of version N is read by N+1: the head never moves, new optional fields get new flag
 * bits and stand behind the old ones.
 *
 *     0 u8 codec version · 1 u8 kind · 2 u16 mode · 4 u32 flags · 8 u32 uid · 12 u32 gid · 16 f64 size
 *     24 u32 row version · 28 u32 generation · 32 u64 mtime · 40 id (6 or 16 bytes, told by a flag) · optional fields
 *
 * A time is `seconds << 30 | nanoseconds` in 64 bits, so that a reader without bigint can split it.
 */
const HEAD_BYTES = 40;
const SHORT_ID_BYTES = 6;
const LONG_ID_BYTES = 16;

const FLAG = {
  longId: 1 << 0,
  atime: 1 << 1, // absent: equal to mtime, as in every row that a listing brought
  ctime: 1 << 2,
  bornAt: 1 << 3,
  hexFingerprint: 1 << 4, // 16 bytes for the 32 digits of a plain ETag
  fingerprint: 1 << 5,
  origin: 1 << 6,
  mount: 1 << 7,
  target: 1 << 8,
  xattrs: 1 << 9,
  listedAt: 1 << 10,
  closing: 1 << 11,
  dirty: 1 << 12,
  device: 1 << 13,
  links: 1 << 14,
  quota: 1 << 15,
} as const;

const NO_NAMES: readonly HardLink[] = [];
/** Optional fields of numbers: five times, five counts and limits. */
const FIXED_BYTES = 11 * 8;
const UNLIMITED = -1;
const HEX_FINGERPRINT = /^[0-9a-f]{32}$/;

export function encodeRow(row: Row): Uint8Array {
  return row.kind === 'record' ? encodeRecord(row) : encodeInode(row);
}

export function decodeRow(bytes: Uint8Array): Row {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = kindOf(view);
  try {
    return kind === 'record' ? decodeRecord(view, bytes) : decodeInode(view, bytes, kind);
  } catch (error) {
    if (error instanceof RangeError) throw new LeatError('corrupt', 'a row ends too early', { cause: error });
    throw error;
  }
}

/** The attributes that `stat` shows, without bigints or strings: what a FUSE reply is made of. */
export interface HotAttributes {
  readonly kind: InodeKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly generation: number;
  readonly inodeNumber: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanos: number;
  readonly atimeSeconds: number;
  readonly atimeNanos: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanos: number;
  /** False: `getxattr` need not look further. */
  readonly hasXattrs: boolean;
  /** A row that the protocol of create and rmdir may still take back. */
  readonly bornAt: number | undefined;
  readonly isClosing: boolean;
  readonly listedAt: number | undefined;
  readonly isMountPoint: boolean;
  /** Its bytes are not those that the store has. */
  readonly isDirty: boolean;
  /** How many names it has, and when there are several, which. */
  readonly links: number;
  readonly names: readonly HardLink[];
  /** Of a device its number; of all else 0. */
  readonly device: number;
}

/** Reads the head of an inode's row; `undefined` for a record. */
export function attributesAt(bytes: Uint8Array): HotAttributes | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = kindOf(view);
  if (kind === 'record') return undefined;
  const flags = view.getUint32(4, true);
  let at = HEAD_BYTES + (flags & FLAG.longId ? LONG_ID_BYTES : SHORT_ID_BYTES);
  const mtimeSeconds = secondsAt(view, 32);
  const mtimeNanos = view.getUint32(32, true) & 0x3fffffff;
  const next = (flag: number, length: number) => (flags & flag ? ((at += length), at - length) : -1);
  const atime = next(FLAG.atime, 8);
  const ctime = next(FLAG.ctime, 8);
  const born = next(FLAG.bornAt, 8);
  const listed = next(FLAG.listedAt, 8);
  // Few rows have these, which stand behind what has no fixed length.
  const rare = flags & (FLAG.links | FLAG.device) ? decodeInode(view, bytes, kind) : undefined;
  return {
    kind,
    mode: view.getUint16(2, true),
    uid: view.getUint32(8, true),
    gid: view.getUint32(12, true),
    size: view.getFloat64(16, true),
    generation: view.getUint32(28, true),
    inodeNumber:
      view.getUint32(42, false) +
      view.getUint16(40, false) * 2 ** 32 +
      (flags & FLAG.longId ? (view.getUint8(46) & LONG_NUMBER_MASK) * 2 ** 48 : 0),
    mtimeSeconds,
    mtimeNanos,
    atimeSeconds: atime < 0 ? mtimeSeconds : secondsAt(view, atime),
    atimeNanos: atime < 0 ? mtimeNanos : view.getUint32(atime, true) & 0x3fffffff,
    ctimeSeconds: ctime < 0 ? mtimeSeconds : secondsAt(view, ctime),
    ctimeNanos: ctime < 0 ? mtimeNanos : view.getUint32(ctime, true) & 0x3fffffff,
    hasXattrs: (flags & FLAG.xattrs) !== 0,
    bornAt: born < 0 ? undefined : view.getFloat64(born, true),
    isClosing: (flags & FLAG.closing) !== 0,
    listedAt: listed < 0 ? undefined : view.getFloat64(listed, true),
    isMountPoint: (flags & FLAG.mount) !== 0,
    isDirty: (flags & FLAG.dirty) !== 0,
    links: rare?.links?.length ?? 1,
    names: rare?.links ?? NO_NAMES,
    device: rare?.device ?? 0,
  };
}

/** The id in an inode's row. */
export function idAt(bytes: Uint8Array): InodeId {
  const isLong = ((bytes[4] ?? 0) & FLAG.longId) !== 0;
  let id = '';
  for (let i = 0; i < (isLong ? LONG_ID_BYTES : SHORT_ID_BYTES); i++)
    id += String.fromCharCode(bytes[HEAD_BYTES + i] ?? 0);
  return id as InodeId;
}

function secondsAt(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * 4 + (view.getUint32(at, true) >>> 30);
}

function encodeInode(inode: Inode): Uint8Array {
  const flags = flagsOf(inode);
  const writer = new RowWriter(sizeBound(inode));
  const { view } = writer;
  view.setUint8(0, CODEC_VERSION);
  view.setUint8(1, KINDS.indexOf(inode.kind));
  view.setUint16(2, inode.mode, true);
  view.setUint32(4, flags, true);
  view.setUint32(8, inode.uid, true);
  view.setUint32(12, inode.gid, true);
  view.setFloat64(16, inode.size, true);
  view.setUint32(24, inode.version, true);
  view.setUint32(28, inode.generation, true);
  writer.at = 32;
  writer.time(inode.mtime);
  writer.raw(inode.id);
  if (flags & FLAG.atime) writer.time(inode.atime);
  if (flags & FLAG.ctime) writer.time(inode.ctime);
  if (inode.bornAt !== undefined) writer.float(inode.bornAt);
  if (inode.listedAt !== undefined) writer.float(inode.listedAt);
  if (flags & FLAG.hexFingerprint) writer.hex(inode.fingerprint ?? '');
  if (flags & FLAG.fingerprint) writer.string(inode.fingerprint ?? '');
  if (inode.origin) writer.string(inode.origin.mount).string(inode.origin.key);
  if (inode.mount !== undefined) writer.string(inode.mount);
  if (inode.target !== undefined) writer.string(inode.target);
  if (inode.xattrs) {
    const pairs = Object.entries(inode.xattrs);
    writer.float(pairs.length);
    for (const [name, value] of pairs) writer.string(name).string(value);
  }
  if (inode.closing) writer.string(inode.closing.token).float(inode.closing.until);
  if (inode.dirty) writer.string(inode.dirty.holder);
  if (inode.device !== undefined) writer.float(inode.device);
  if (inode.links) {
    writer.float(inode.links.length);
    for (const { directory, name } of inode.links) writer.string(directory).string(name);
  }
  if (inode.quota) writer.float(inode.quota.bytes ?? UNLIMITED).float(inode.quota.entries ?? UNLIMITED);
  return writer.bytes();
}

function flagsOf(inode: Inode): number {
  const { length } = inode.id;
  invariant(length === SHORT_ID_BYTES || length === LONG_ID_BYTES, `an id of ${length} bytes`);
  const isHex = inode.fingerprint !== undefined && HEX_FINGERPRINT.test(inode.fingerprint);
  return (
    (inode.id.length === LONG_ID_BYTES ? FLAG.longId : 0) |
    (inode.atime !== inode.mtime ? FLAG.atime : 0) |
    (inode.ctime !== inode.mtime ? FLAG.ctime : 0) |
    (inode.bornAt !== undefined ? FLAG.bornAt : 0) |
    (isHex ? FLAG.hexFingerprint : inode.fingerprint !== undefined ? FLAG.fingerprint : 0) |
    (inode.origin ? FLAG.origin : 0) |
    (inode.mount !== undefined ? FLAG.mount : 0) |
    (inode.target !== undefined ? FLAG.target : 0) |
    (inode.xattrs ? FLAG.xattrs : 0) |
    (inode.listedAt !== undefined ? FLAG.listedAt : 0) |
    (inode.closing ? FLAG.closing : 0) |
    (inode.dirty ? FLAG.dirty : 0) |
    (inode.device !== undefined ? FLAG.device : 0) |
    (inode.links ? FLAG.links : 0) |
    (inode.quota ? FLAG.quota : 0)
  );
}

function sizeBound(inode: Inode): number {
  const texts = [
    inode.fingerprint,
    inode.origin?.mount,
    inode.origin?.key,
    inode.mount,
    inode.target,
    inode.closing?.token,
    inode.dirty?.holder,
  ];
  const xattrs = Object.entries(inode.xattrs ?? {}).flat();
  const links = (inode.links ?? []).flatMap(({ directory, name }) => [directory, name]);
  let bytes = HEAD_BYTES + LONG_ID_BYTES + FIXED_BYTES;
  for (const text of [...texts, ...xattrs, ...links]) bytes += text === undefined ? 0 : 4 + text.length;
  return bytes;
}

function decodeInode(view: DataView, bytes: Uint8Array, kind: InodeKind): Inode {
  const flags = view.getUint32(4, true);
  const reader = new RowReader(view, bytes, 32);
  const mtime = reader.time();
  const id = reader.raw(flags & FLAG.longId ? LONG_ID_BYTES : SHORT_ID_BYTES) as InodeId;
  const atime = flags & FLAG.atime ? reader.time() : mtime;
  const ctime = flags & FLAG.ctime ? reader.time() : mtime;
  const inode: { -readonly [Field in keyof Inode]: Inode[Field] } = {
    kind,
    id,
    mode: view.getUint16(2, true),
    uid: view.getUint32(8, true),
    gid: view.getUint32(12, true),
    size: view.getFloat64(16, true),
    atime,
    mtime,
    ctime,
    version: view.getUint32(24, true),
    generation: view.getUint32(28, true),
  };
  if (flags & FLAG.bornAt) inode.bornAt = reader.float();
  if (flags & FLAG.listedAt) inode.listedAt = reader.float();
  if (flags & FLAG.hexFingerprint) inode.fingerprint = reader.hex(16) as Fingerprint;
  if (flags & FLAG.fingerprint) inode.fingerprint = reader.string() as Fingerprint;
  if (flags & FLAG.origin) inode.origin = readOrigin(reader);
  if (flags & FLAG.mount) inode.mount = reader.string() as MountId;
  if (flags & FLAG.target) inode.target = reader.string();
  if (flags & FLAG.xattrs) inode.xattrs = readXattrs(reader);
  if (flags & FLAG.closing) inode.closing = readClosing(reader);
  if (flags & FLAG.dirty) inode.dirty = { holder: reader.string() };
  if (flags & FLAG.device) inode.device = reader.float();
  if (flags & FLAG.links) inode.links = readLinks(reader);
  if (flags & FLAG.quota) inode.quota = readQuota(reader);
  return inode;
}

function readOrigin(reader: RowReader): Origin {
  const mount = reader.string() as MountId;
  return { mount, key: reader.string() as StoreKey };
}

function readXattrs(reader: RowReader): Record<string, string> {
  const count = reader.float();
  const pairs = Array.from({ length: count }, () => [reader.string(), reader.string()] as const);
  return Object.fromEntries(pairs);
}

function readClosing(reader: RowReader): Closing {
  const token = reader.string();
  return { token, until: reader.float() };
}

function readLinks(reader: RowReader): HardLink[] {
  const count = reader.float();
  return Array.from({ length: count }, () => {
    const directory = reader.string() as InodeId;
    return { directory, name: reader.string() as Name };
  });
}

function readQuota(reader: RowReader): QuotaLimits {
  const [bytes, entries] = [reader.float(), reader.float()];
  return { ...(bytes !== UNLIMITED && { bytes }), ...(entries !== UNLIMITED && { entries }) };
}
