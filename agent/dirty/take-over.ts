import { closeSync, constants, openSync } from 'node:fs';
import { LeatError } from '#shared/model/faults.ts';
import { toText } from '#shared/model/names.ts';
import type { Found } from '#shared/namespace/namespace.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import type { DataCache, Fetch } from '../cache/data-cache.ts';
import { DirtyFile } from './dirty-file.ts';
import { setTimes } from './local-calls.ts';

const PRIVATE = 0o600;

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
  if (!inode.dirty && !cache.takeOver(inode, inode.size, file.path)) {
    if (!isTruncated && inode.size > 0) await load(deps, found, file);
    else closeSync(openSync(file.path, constants.O_CREAT | constants.O_TRUNC | constants.O_RDWR, PRIVATE));
  }
  // So that a write shows.
  setTimes(file.fd, { mtime: inode.mtime });
  return file;
}

async function load({ cache, fetchFor }: TakeOverDeps, found: Found, file: DirtyFile): Promise<void> {
  const { inode, path } = found;
  const cached = cache.open(inode, inode.size, fetchFor(found));
  try {
    const isHere = await cached.load();
    if (isHere && cache.takeOver(inode, inode.size, file.path)) return;
  } finally {
    cached.close();
  }
  throw new LeatError('noSpace', `${toText(path)}: the cache has no room for it; make cache.size larger`);
}
