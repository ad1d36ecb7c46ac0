import type { StoreKey } from '../model/inode.ts';
import { type StoreEntry, STORE_PAGE_ENTRIES, type UnderStore } from '../ports/under-store.ts';
import { inLanes } from './lanes.ts';

const REMOVALS_IN_FLIGHT = 16;

/**
 * The objects side by side, however they are spread; then what is left, which is directories, from the deepest up. A store may
 * count its pages by position, and skip as many entries as were removed before it: what was left is walked again.
 */
export async function removeBelow(store: UnderStore, key: StoreKey, demandRunning: () => void): Promise<void> {
  let removed: number;
  do {
    removed = 0;
    await inLanes(objectsBelow(store, key), REMOVALS_IN_FLIGHT, async (entry) => {
      demandRunning();
      await store.remove(entry.key, entry.kind);
      removed++;
    });
  } while (removed > 0 && (await hasObjects(store, key)));
  await removeDirectories(store, key, demandRunning);
}

async function hasObjects(store: UnderStore, key: StoreKey): Promise<boolean> {
  const { done } = await objectsBelow(store, key).next();
  return done !== true;
}

async function* objectsBelow(store: UnderStore, directory: StoreKey): AsyncGenerator<StoreEntry> {
  for await (const entry of entriesOf(store, directory)) {
    if (entry.kind === 'directory') yield* objectsBelow(store, entry.key);
    else yield entry;
  }
}

async function removeDirectories(store: UnderStore, directory: StoreKey, demandRunning: () => void): Promise<void> {
  for (let found = 0, before = Infinity; ; before = found) {
    found = 0;
    for await (const entry of entriesOf(store, directory)) {
      demandRunning();
      found++;
      if (entry.kind === 'directory') await removeDirectories(store, entry.key, demandRunning);
    }
    // A prefix that holds keys which no file can stand for stays, however often it is removed.
    if (found < STORE_PAGE_ENTRIES || found >= before) break;
  }
  await store.remove(directory, 'directory');
}

/** The direct children of a directory, a page at a time. */
export async function* entriesOf(store: UnderStore, directory: StoreKey): AsyncGenerator<StoreEntry> {
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const page = await store.list(directory, cursor);
    yield* page.entries;
    ({ cursor } = page);
  }
}
