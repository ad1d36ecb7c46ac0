import { closeSync, constants, openSync, truncateSync } from 'node:fs';
import { LeatError } from '#shared/model/faults.ts';
import type { Inode } from '#shared/model/inode.ts';
import { toText } from '#shared/model/names.ts';
import type { Found } from '#shared/namespace/namespace.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import type { DataCache, Fetch } from '../cache/data-cache.ts';
import { DirtyFile } from './dirty-file.ts';
import { setTimes } from './local-calls.ts';
import { BaseBlocks } from './base-blocks.ts';

const PRIVATE = 0o600;
/** A file up to so many bytes is fetched whole before it is written, and sent whole. */
const WHOLE_BYTES_MAX = 16 << 20;
/** Of the cache: what is larger stays where it is, as the bytes of a dirty file cannot be evicted. */
const WHOLE_SHARE_MAX = 1 / 4;

export interface TakeOverDeps {
  /** Of the dirty files, on the file system of the cache. */
  readonly dir: string;
  readonly cache: DataCache;
  readonly fetchFor: (found: Found) => Fetch;
  /** What this agent is called in rows. */
  readonly holder: string;
}

interface How {
  readonly at: RowKey;
  readonly isTruncated: boolean;
}

/** The bytes of a file become those of a dirty one: what lies in the cache is taken from it, and otherwise fetched first. */
export async function takenOver(deps: TakeOverDeps, found: Found, { at, isTruncated }: How): Promise<DirtyFile> {
  const { dir, holder, cache } = deps;
  const { inode, path } = found;
  if (inode.dirty && inode.dirty.holder !== holder) {
    throw new LeatError('busy', `${toText(path)}: agent ${inode.dirty.holder} has not stored yet what it wrote`);
  }
  const file = new DirtyFile(dir, at, inode);
  const mayHaveBase = inode.fingerprint !== undefined && !isTruncated;
  if (inode.dirty) file.base = BaseBlocks.find(file.mapPath, file.stat()?.size ?? 0);
  else if (mayHaveBase && isTooLarge(cache, inode)) makePartial(file, inode);
  else if (cache.takeOver(inode, inode.size, file.path)) {
    if (mayHaveBase && inode.size > WHOLE_BYTES_MAX)
      file.base = BaseBlocks.of(file.mapPath, { ...inode, isHere: true });
  } else if (isTruncated || inode.size === 0) makeEmpty(file);
  else if (inode.size > WHOLE_BYTES_MAX || !(await load(deps, found, file))) makePartial(file, inode);
  // So that a write shows.
  setTimes(file.fd, { mtime: inode.mtime });
  return file;
}

/** The kernel maps one local file of a node, so what it has open of it has to be the one that is written. */
function isTooLarge(cache: DataCache, inode: Inode): boolean {
  return inode.size > cache.usage().capacityBytes * WHOLE_SHARE_MAX && !cache.isHeld(inode);
}

/** False: the cache has no room for it. */
async function load({ cache, fetchFor }: TakeOverDeps, found: Found, file: DirtyFile): Promise<boolean> {
  const { inode } = found;
  const cached = cache.open(inode, inode.size, fetchFor(found));
  try {
    return (await cached.load()) && cache.takeOver(inode, inode.size, file.path);
  } finally {
    cached.close();
  }
}

function makeEmpty({ path }: DirtyFile): void {
  closeSync(openSync(path, constants.O_CREAT | constants.O_TRUNC | constants.O_RDWR, PRIVATE));
}

/** What is not written is not fetched, unless a block is written in part. */
function makePartial(file: DirtyFile, inode: Inode): void {
  file.base = BaseBlocks.of(file.mapPath, { ...inode, isHere: false });
  makeEmpty(file);
  truncateSync(file.path, inode.size);
}
