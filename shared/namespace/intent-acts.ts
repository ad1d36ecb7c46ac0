import { isFault } from '../model/faults.ts';
import type { Inode, StoreKey } from '../model/inode.ts';
import type { StoreEntry, UnderStore } from '../ports/under-store.ts';
import { type Context, inodeAt, mountedAt, revised } from './context.ts';
import { attributesOf, type Intent, type RowOf } from './intent.ts';
import { carryOutMove } from './intent-moves.ts';
import { inLanes } from './lanes.ts';

const REMOVALS_IN_FLIGHT = 16;

/** Does what is owed. Every act may have been done before, wholly or in part, by a process that died: it is done again. */
export async function carryOut(context: Context, intent: Intent): Promise<void> {
  const { store } = mountedAt(context, intent.mount);
  switch (intent.act) {
    case 'remove':
      return store.remove(intent.key, intent.kind);
    case 'removeTree':
      return removeBelow(store, intent.key);
    case 'makeFile':
      return makeFile(context, store, intent);
    case 'makeDirectory':
      return store.makeDirectory(intent.key, attributesOf(intent.attributes));
    case 'makeSymlink': {
      if (!(await ownRow(context, intent.row))) return;
      const entry = await store.makeSymlink(intent.key, intent.target, attributesOf(intent.attributes));
      return keepFingerprint(context, intent.row, entry);
    }
    case 'setAttributes': {
      const entry = await absentIsFine(store.setAttributes(intent.key, attributesOf(intent.attributes)));
      return entry && keepFingerprint(context, intent.row, entry);
    }
    case 'move':
      return carryOutMove(context, store, intent);
  }
}

/** An empty object, unless an upload has put a whole one there already. */
async function makeFile(context: Context, store: UnderStore, intent: Intent & { act: 'makeFile' }): Promise<void> {
  const row = await ownRow(context, intent.row);
  if (!row || row.fingerprint !== undefined) return;
  const options = { attributes: attributesOf(intent.attributes), size: 0, when: 'absent' } as const;
  const entry = await store.write(intent.key, nothing(), options).catch((error: unknown) => {
    if (isFault(error, 'exists')) return store.stat(intent.key);
    throw error;
  });
  // Of an object that was there already the size is not ours: the next sync takes it over as new content.
  if (entry?.size === 0) await keepFingerprint(context, intent.row, entry);
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** Removed behind our back: nothing to describe. */
async function absentIsFine<Result>(result: Promise<Result>): Promise<Result | undefined> {
  try {
    return await result;
  } catch (error) {
    if (isFault(error, 'notFound')) return undefined;
    throw error;
  }
}

/** The row that an intent was made for; undefined once it has been removed or replaced. */
export async function ownRow(context: Context, { directory, name, id }: RowOf): Promise<Inode | undefined> {
  const row = await inodeAt(context, { directory, name });
  return row?.id === id ? row : undefined;
}

/** The bytes are the same, so the generation stays: only the store's name for them has changed. */
async function keepFingerprint(context: Context, row: RowOf, { fingerprint }: StoreEntry): Promise<void> {
  if (fingerprint === undefined) return;
  await reviseRow(context, row, (now) => (now.kind === 'directory' ? undefined : { ...now, fingerprint }));
}

/** Rewrites a row as often as others get in between; leaves it when it is gone or there is nothing to say. */
export async function reviseRow(
  context: Context,
  row: RowOf,
  rewrite: (now: Inode) => Inode | undefined,
): Promise<void> {
  const { id: _, ...key } = row;
  for (;;) {
    const now = await ownRow(context, row);
    const after = now && rewrite(now);
    if (!now || !after) return;
    const put = { act: 'put', key, when: { version: now.version }, row: revised(after, {}) } as const;
    if ((await context.metastore.commit([put])).committed) return;
  }
}

/** The objects side by side, however they are spread; then what is left, which is directories, from the deepest up. */
export async function removeBelow(store: UnderStore, key: StoreKey): Promise<void> {
  await inLanes(objectsBelow(store, key), REMOVALS_IN_FLIGHT, (entry) => store.remove(entry.key, entry.kind));
  await removeDirectories(store, key);
}

async function* objectsBelow(store: UnderStore, directory: StoreKey): AsyncGenerator<StoreEntry> {
  for await (const entry of entriesOf(store, directory)) {
    if (entry.kind === 'directory') yield* objectsBelow(store, entry.key);
    else yield entry;
  }
}

async function removeDirectories(store: UnderStore, directory: StoreKey): Promise<void> {
  for await (const entry of entriesOf(store, directory)) {
    if (entry.kind === 'directory') await removeDirectories(store, entry.key);
  }
  await store.remove(directory, 'directory');
}

export async function* entriesOf(store: UnderStore, directory: StoreKey): AsyncGenerator<StoreEntry> {
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const page = await store.list(directory, cursor);
    yield* page.entries;
    ({ cursor } = page);
  }
}
