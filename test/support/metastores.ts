import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { type EmbeddedMetastore, heapMetastore } from '#agent/embedded/heap-metastore.ts';
import { lmdbMetastore } from '#agent/embedded/lmdb-metastore.ts';

/** Fresh embedded metastores with a clock of their own, closed and deleted when the test file ends. */
export function openers() {
  const closers: (() => Promise<void>)[] = [];
  afterAll(async () => {
    for (const close of closers) await close();
  });
  const opened = (
    make: (clock: () => number, feed: ReturnType<typeof localFeed>) => ReturnType<typeof heapMetastore>,
  ) => {
    let now = Date.now();
    const feed = localFeed();
    const metastore = make(() => now, feed);
    return { metastore, feed, advance: (ms: number) => void (now += ms), clock: () => now };
  };
  return {
    heap: async () => opened((clock, feed) => heapMetastore({ clock, feed })),
    lmdb: async (durability: 'relaxed' | 'strict' = 'relaxed') => {
      const dir = mkdtempSync(join(tmpdir(), 'leat-metastore-'));
      const store = opened((clock, feed) => lmdbMetastore({ dir, clock, feed, durability }));
      closers.push(async () => {
        await store.metastore.close();
        rmSync(dir, { recursive: true });
      });
      return { ...store, dir };
    },
  };
}

/** Opens, or opens again, the LMDB metastore of a folder; closing it is the caller's. */
export function openLmdb(dir: string, durability: 'relaxed' | 'strict' = 'relaxed'): EmbeddedMetastore {
  return lmdbMetastore({ dir, clock: Date.now, feed: localFeed(), durability });
}
