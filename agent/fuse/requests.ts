import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { joinPath, NAME_BYTES_MAX, type Name, type Path, PATH_BYTES_MAX } from '#shared/model/names.ts';
import type { BaseBlocks, BytesRange } from '../dirty/base-blocks.ts';
import { IN_HEADER } from './protocol.ts';
import type { Caller } from './questions.ts';

export const errno = constants.errno;
/** 5 TiB, the largest object of S3. */
export const FILE_BYTES_MAX = 5 * 2 ** 40;
const O_ACCMODE = 3;
export const O_TRUNC = 0o1000;
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;

/** Of what a file is opened with. */
export const isWriting = (flags: number): boolean => (flags & O_ACCMODE) !== 0 || (flags & O_TRUNC) !== 0;

/** Of the flags of setxattr(2). */
export const xattrMode = (flags: number): 'set' | 'create' | 'replace' =>
  flags & XATTR_CREATE ? 'create' : flags & XATTR_REPLACE ? 'replace' : 'set';

/** The number of a request, as two words. */
export type Unique = readonly [number, number];

/** The kernel sends it again, because the process that had read it died: its highest bit says so. */
export const isAgain = (unique: Unique): boolean => unique[1] < 0;

/** The same for a request that is sent again. */
export const textOf = ([low, high]: Unique): string =>
  `${(high & 0x7fff_ffff).toString(36)}-${(low >>> 0).toString(36)}`;

/** One request of the kernel, valid until the next is read. */
export interface Request {
  readonly opcode: number;
  readonly unique: Unique;
  readonly node: number;
  readonly caller: Caller;
  readonly bytes: Buffer;
  readonly length: number;
}

/** An answer in errno form: what a handler throws to refuse. */
export class Refusal {
  readonly errno: number;
  constructor(code: number) {
    this.errno = code;
  }
}

export function refuse(code: number): never {
  throw new Refusal(code);
}

/** The name in a request, checked: the kernel passes what the caller wrote. */
export function nameAt(request: Request, at: number): { readonly name: Name; readonly end: number } {
  const end = request.bytes.indexOf(0, at);
  const name = request.bytes.toString('latin1', at, end) as Name;
  if (name.length > NAME_BYTES_MAX) throw new Refusal(errno.ENAMETOOLONG);
  return { name, end: end + 1 };
}

/** The kernel goes name by name, and knows no whole path; the API and the stores know none that is longer than this. */
export function stepTo(directory: Path, name: Name): Path {
  const path = joinPath(directory, name);
  return path.length > PATH_BYTES_MAX ? refuse(errno.ENAMETOOLONG) : path;
}

export const u32 = (request: Request, at: number): number => request.bytes.readUInt32LE(at);
export const u64 = (request: Request, at: number): number =>
  request.bytes.readUInt32LE(at) + request.bytes.readUInt32LE(at + 4) * 2 ** 32;
export const FIRST_ARGUMENT = IN_HEADER;

export function must<Value>(value: Value | undefined): Value {
  return value ?? refuse(errno.EIO);
}

/** Work on a local file, whose failures are those of the caller's file. */
export function locally<Result>(act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    const { errno: number } = error as NodeJS.ErrnoException;
    throw number === undefined ? error : new Refusal(-number);
  }
}

/** pwrite(2). Upon a base, all of it: half of a block that is missing would be taken for missing still. */
export function writeLocally(
  { fd, base }: { readonly fd: number; readonly base: BaseBlocks | undefined },
  bytes: Uint8Array,
  from: number,
  { offset, length }: BytesRange,
): number {
  const written = locally(() => writeSync(fd, bytes, from, length, offset));
  if (base && written < length) throw new Refusal(errno.ENOSPC);
  return written;
}
