import type { HotAttributes } from '#shared/model/row-codec.ts';
import { TYPE_BITS } from './node-kinds.ts';

/** The FUSE kernel protocol, version 7.45, as far as it is spoken here. All numbers are little-endian. */
export const Op = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
} as const;

export const Init = {
  ASYNC_READ: 1 << 0,
  POSIX_LOCKS: 1 << 1,
  ATOMIC_O_TRUNC: 1 << 3,
  BIG_WRITES: 1 << 5,
  DONT_MASK: 1 << 6,
  FLOCK_LOCKS: 1 << 10,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  NO_OPEN_SUPPORT: 1 << 17,
  PARALLEL_DIROPS: 1 << 18,
  POSIX_ACL: 1 << 20,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  HANDLE_KILLPRIV_V2: 1 << 28,
  SETXATTR_EXT: 1 << 29,
  INIT_EXT: 1 << 30,
} as const;
/** Bits of the second flag word. */
export const Init2 = { PASSTHROUGH: 1 << 5, HAS_RESEND: 1 << 7 } as const;

export const Fopen = { DIRECT_IO: 1 << 0, KEEP_CACHE: 1 << 1, NOFLUSH: 1 << 5, PASSTHROUGH: 1 << 7 } as const;

export const SetAttr = {
  MODE: 1,
  UID: 2,
  GID: 4,
  SIZE: 8,
  ATIME: 16,
  MTIME: 32,
  ATIME_NOW: 128,
  MTIME_NOW: 256,
  KILL_SUIDGID: 1 << 11,
} as const;

export const Notify = { INVAL_INODE: 2, INVAL_ENTRY: 3, RESEND: 7 } as const;

export const Ioctl = { BACKING_OPEN: 0x4010e501, BACKING_CLOSE: 0x4004e502 } as const;

export const IN_HEADER = 40;
export const OUT_HEADER = 16;
export const ENTRY_BYTES = 128;
export const ATTR_REPLY_BYTES = 104;
export const OPENED_BYTES = 16;
export const REQUEST_DATA_MAX = 1 << 20;
const MINOR = 45;
const MAX_BACKGROUND = 64;
const CONGESTION = 48;
const MAX_PAGES = 256;
const WORD = 4;
/** What st_mode says of the kind. */
export interface Timeout {
  readonly seconds: number;
  readonly nanos: number;
}

/** One reply under construction, in a buffer that is used again and again. Positions are bytes from the start of the message. */
export class Reply {
  readonly bytes: Buffer;
  /** Where locks are shared some end with a close, so that the kernel has to tell of each. */
  isEachCloseTold = false;
  readonly #words: Int32Array;

  constructor(dataMax: number) {
    const memory = new ArrayBuffer(OUT_HEADER + dataMax + 4096);
    this.bytes = Buffer.from(memory);
    this.#words = new Int32Array(memory);
  }

  /** Fills the header; answers the length of the whole message. */
  head(unique: readonly [number, number], payload: number, errno = 0): number {
    const words = this.#words;
    words[0] = OUT_HEADER + payload;
    words[1] = -errno;
    words[2] = unique[0];
    words[3] = unique[1];
    return OUT_HEADER + payload;
  }

  u32(at: number, value: number): void {
    this.#words[at / WORD] = value;
  }

  u64(at: number, value: number): void {
    this.#words[at / WORD] = (value % 2 ** 32) | 0;
    this.#words[at / WORD + 1] = Math.floor(value / 2 ** 32);
  }

  clear(at: number, length: number): void {
    this.bytes.fill(0, at, at + length);
  }

  /** fuse_attr, 88 bytes. */
  attributes(at: number, a: HotAttributes): void {
    this.u64(at, a.inodeNumber);
    this.u64(at + 8, a.size);
    this.u64(at + 16, Math.ceil(a.size / 512));
    this.u64(at + 24, a.atimeSeconds);
    this.u64(at + 32, a.mtimeSeconds);
    this.u64(at + 40, a.ctimeSeconds);
    this.u32(at + 48, a.atimeNanos);
    this.u32(at + 52, a.mtimeNanos);
    this.u32(at + 56, a.ctimeNanos);
    this.u32(at + 60, TYPE_BITS[a.kind] | a.mode);
    this.u32(at + 64, a.links); // of directories 1, as on btrfs: nobody counts subdirectories
    this.u32(at + 68, a.uid);
    this.u32(at + 72, a.gid);
    this.u32(at + 76, a.device);
    this.u32(at + 80, 4096);
    this.u32(at + 84, 0);
  }

  /** fuse_entry_out, 128 bytes. */
  entry(at: number, nodeId: number, attributes: HotAttributes, timeout: Timeout): void {
    this.u64(at, nodeId);
    this.u64(at + 8, 0);
    this.u64(at + 16, timeout.seconds);
    this.u64(at + 24, timeout.seconds);
    this.u32(at + 32, timeout.nanos);
    this.u32(at + 36, timeout.nanos);
    this.attributes(at + 40, attributes);
  }

  /** fuse_attr_out, 104 bytes with the header of 16 before the block. */
  attributeReply(at: number, attributes: HotAttributes, timeout: Timeout): void {
    this.u64(at, timeout.seconds);
    this.u32(at + 8, timeout.nanos);
    this.u32(at + 12, 0);
    this.attributes(at + 16, attributes);
  }

  /** fuse_open_out, 16 bytes. */
  opened(at: number, handle: number, flags: number, backing = 0): void {
    this.u64(at, handle);
    this.u32(at + 8, this.isEachCloseTold ? flags & ~Fopen.NOFLUSH : flags);
    this.u32(at + 12, backing);
  }

  /** fuse_init_out, 64 bytes. */
  init(
    at: number,
    wanted: { readonly flags: number; readonly flags2: number; readonly readahead: number; readonly minor: number },
  ): void {
    this.clear(at, 64);
    this.u32(at, 7);
    this.u32(at + 4, Math.min(MINOR, wanted.minor));
    this.u32(at + 8, wanted.readahead);
    this.u32(at + 12, wanted.flags);
    this.bytes.writeUInt16LE(MAX_BACKGROUND, at + 16);
    this.bytes.writeUInt16LE(CONGESTION, at + 18);
    this.u32(at + 20, REQUEST_DATA_MAX);
    this.u32(at + 24, 1);
    this.bytes.writeUInt16LE(MAX_PAGES, at + 28);
    this.u32(at + 32, wanted.flags2);
    this.u32(at + 36, wanted.flags2 & Init2.PASSTHROUGH ? 1 : 0); // one file system may lie below
  }
}
