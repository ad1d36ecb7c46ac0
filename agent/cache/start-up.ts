import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { setImmediate as breathe } from 'node:timers/promises';
import { LeatError } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import { LEAVING_PREFIX } from './file-remover.ts';
import type { CacheKey } from './data-cache.ts';
import { isStamp, keyOfFile, PART_SUFFIX } from './sealed.ts';

const IDENTITY_FILE = 'identity';
const WIPED_PREFIX = 'wiped-';
const SHARD = /^[0-9a-f]{2}$/;
/** About half a millisecond of work; then others have their turn. */
const FILES_AT_ONCE = 100;

export type FoundFile =
  | { readonly kind: 'sealed'; readonly key: CacheKey; readonly size: number }
  | { readonly kind: 'part'; readonly key: CacheKey; readonly path: string }
  /** Nothing that can be used: an unfinished page, a seal from before a power loss, a stranger's file. */
  | { readonly kind: 'junk'; readonly path: string };

/**
 * Makes the directory that of this metastore. Ids begin anew with every metastore, so the files of another one are moved out
 * of sight at once, in so few steps that nobody has to wait, and removed later by `sweep`.
 */
export function claim(dir: string, identity: string): void {
  try {
    takeOver(dir, identity);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new LeatError('unavailable', `${dir} cannot be used as a cache (${reason}); choose another --data`, {
      cause: error,
    });
  }
}

function takeOver(dir: string, identity: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = `${dir}/${IDENTITY_FILE}`;
  if (readIdentity(path) === identity) return;
  for (const [place, shard] of readdirSync(dir).filter(isShard).entries()) {
    renameSync(`${dir}/${shard}`, `${dir}/${WIPED_PREFIX}${Date.now()}-${place}`);
  }
  writeFileSync(path, identity, { mode: 0o600 });
}

/** Removes what earlier processes had no time to remove. */
export async function sweep(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (name.startsWith(WIPED_PREFIX) || name.startsWith(LEAVING_PREFIX))
      await rm(`${dir}/${name}`, { recursive: true });
  }
}

/** Looks at every file of one shard, a few at a time; `see` is called for each. */
export async function scan(shard: string, see: (file: FoundFile) => void): Promise<void> {
  let count = 0;
  for (const name of await readdir(shard)) {
    see(judge(`${shard}/${name}`, name));
    if (++count % FILES_AT_ONCE === 0) await breathe();
  }
}

export async function shards(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter(isShard).map((shard) => `${dir}/${shard}`);
}

function judge(path: string, name: string): FoundFile {
  const parsed = keyOfFile(name);
  if (!parsed) return { kind: 'junk', path };
  const key = { id: parsed.id as InodeId, generation: parsed.generation };
  if (name.endsWith(PART_SUFFIX)) return { kind: 'part', key, path };
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && isStamp(stat.mtimeMs) ? { kind: 'sealed', key, size: stat.size } : { kind: 'junk', path };
}

function readIdentity(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function isShard(name: string): boolean {
  return SHARD.test(name);
}
