import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CacheKey, DataCache, DataCacheOptions } from '#agent/cache/data-cache.ts';
import { dataCache } from '#agent/cache/data-cache.ts';
import { sequentialId } from '#shared/model/ids.ts';
import { matches, patternedSource } from './patterned-source.ts';

const MIB = 1024 * 1024;

export const key = (number: number, generation = 1): CacheKey => ({ id: sequentialId(number), generation });

/** A directory for one test, and the caches that it starts there one after the other. */
export class TemporaryCache {
  readonly dir = mkdtempSync(join(tmpdir(), 'leat-cache-'));
  readonly evicted: CacheKey[] = [];
  readonly logged: string[] = [];
  readonly #caches: DataCache[] = [];

  start(options: Partial<DataCacheOptions> = {}): DataCache {
    const cache = dataCache({
      dir: this.dir,
      capacityBytes: 256 * MIB,
      filesMax: 1000,
      memoryBytes: 32 * MIB,
      identity: 'one',
      clock: () => performance.timeOrigin + performance.now(),
      onEvicted: (gone) => this.evicted.push(gone),
      log: (message) => this.logged.push(message),
      ...options,
    });
    this.#caches.push(cache);
    return cache;
  }

  async end(): Promise<void> {
    await Promise.all(this.#caches.map((cache) => cache.close()));
    rmSync(this.dir, { recursive: true });
  }

  diskBytes(): number {
    return cacheDiskBytes(this.dir);
  }
}

/** What `du` says of the cached files. */
export function cacheDiskBytes(dir: string): number {
  const DISK_BLOCK = 512;
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const cached = files.filter((entry) => entry.name !== 'identity');
  return cached.reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).blocks * DISK_BLOCK, 0);
}

/** Opens a content, reads once, closes it: whether the bytes were right, and what the store was asked for. */
export async function readAt(cache: DataCache, read: { seed: number; size: number; offset: number; length: number }) {
  const source = patternedSource({ seed: read.seed });
  const file = cache.open(key(read.seed), read.size, source.fetch);
  const into = new Uint8Array(read.length);
  const count = await file.read(into, read.offset);
  file.close();
  return { right: matches(into.subarray(0, count), read.seed, read.offset), count, asked: source.asked };
}
