import { isFault } from '../model/faults.ts';
import type { Inode, StoreKey } from '../model/inode.ts';
import type { RowKey } from '../ports/metastore.ts';
import type { StoreAttributes, StoreEntry, UnderStore } from '../ports/under-store.ts';
import { childKey, type Context, inodeAt, revised, storeAt } from './context.ts';
import type { Intent, StoredAttributes } from './intents.ts';

/** Does what is owed. Every act may have been done before, wholly or in part, by a process that died: it is done again. */
export async function carryOut(context: Context, intent: Intent): Promise<void> {
  const { store } = storeAt(context, intent);
  switch (intent.act) {
    case 'remove':
      return store.remove(intent.key, intent.kind);
    case 'removeTree':
      return removeBelow(store, intent.key);
    case 'makeDirectory':
      return store.makeDirectory(intent.key, attributesOf(intent.attributes));
    case 'makeSymlink': {
      const row = await inodeAt(context, intent.row);
      const entry = await store.makeSymlink(
        intent.key,
        intent.target,
        row && { mode: row.mode, uid: row.uid, gid: row.gid },
      );
      return keepFingerprint(context, intent.row, entry);
    }
    case 'setAttributes': {
      const entry = await store.setAttributes(intent.key, attributesOf(intent.attributes)).catch((error: unknown) => {
        if (isFault(error, 'notFound')) return undefined; // removed behind our back: nothing to describe
        throw error;
      });
      return entry && keepFingerprint(context, intent.row, entry);
    }
    case 'move':
      return move(context, store, intent);
  }
}

/** The bytes are the same, so the generation stays: only the store's name for them has changed. */
async function keepFingerprint(context: Context, key: RowKey, { fingerprint }: StoreEntry): Promise<void> {
  await reviseRow(context, key, (row) =>
    fingerprint === undefined || row.kind === 'directory' ? undefined : { fingerprint },
  );
}

async function reviseRow(
  context: Context,
  key: RowKey,
  patch: (row: Inode) => Partial<Inode> | undefined,
): Promise<void> {
  for (;;) {
    const row = await inodeAt(context, key);
    const change = row && patch(row);
    if (!row || !change) return;
    const put = { act: 'put', key, when: { version: row.version }, row: revised(row, change) } as const;
    if ((await context.metastore.commit([put])).committed) return;
  }
}

/**
 * Copies first, then tells readers, then removes: at every moment the row names a key that is there. When the row has moved on
 * meanwhile, or is gone, a later intent knows better and this one has nothing to do.
 */
async function move(context: Context, store: UnderStore, intent: Intent & { act: 'move' }): Promise<void> {
  const row = await inodeAt(context, intent.row);
  if (row?.origin?.key !== intent.key) {
    if (row?.origin === undefined && row !== undefined) await removeMoved(store, intent);
    return;
  }
  let entry: StoreEntry | undefined;
  if (store.supports.move) {
    await store.move(intent.key, intent.to);
    if (intent.kind !== 'directory') entry = await store.stat(intent.to); // a rename moves ctime, which fingerprints tell
  } else if (intent.kind === 'directory') await copyBelow(store, intent.key, intent.to);
  else entry = await store.copy(intent.key, intent.to);
  await settleRow(context, intent, entry);
  if (!store.supports.move) await removeMoved(store, intent);
}

async function removeMoved(store: UnderStore, intent: Intent & { act: 'move' }): Promise<void> {
  if (store.supports.move) return;
  if (intent.kind === 'directory') await removeBelow(store, intent.key);
  else await store.remove(intent.key, intent.kind);
}

async function settleRow(
  context: Context,
  intent: Intent & { act: 'move' },
  entry: StoreEntry | undefined,
): Promise<void> {
  for (;;) {
    const row = await inodeAt(context, intent.row);
    if (row?.origin?.key !== intent.key) return;
    const { origin: _, ...settled } = row;
    const fingerprint = entry?.fingerprint;
    const put = {
      act: 'put',
      key: intent.row,
      when: { version: row.version },
      row: { ...settled, version: row.version + 1, ...(fingerprint !== undefined && { fingerprint }) },
    } as const;
    if ((await context.metastore.commit([put])).committed) return;
  }
}

async function copyBelow(store: UnderStore, from: StoreKey, to: StoreKey): Promise<void> {
  await store.makeDirectory(to);
  for await (const entry of entriesOf(store, from)) {
    const target = childKey(to, entry.key.slice(from.length + 1));
    if (entry.kind === 'directory') await copyBelow(store, entry.key, target);
    else await store.copy(entry.key, target);
  }
}

async function removeBelow(store: UnderStore, key: StoreKey): Promise<void> {
  for await (const entry of entriesOf(store, key)) {
    if (entry.kind === 'directory') await removeBelow(store, entry.key);
    else await store.remove(entry.key, entry.kind);
  }
  await store.remove(key, 'directory');
}

async function* entriesOf(store: UnderStore, directory: StoreKey): AsyncGenerator<StoreEntry> {
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const page = await store.list(directory, cursor);
    yield* page.entries;
    ({ cursor } = page);
  }
}

export function storedAttributes({ mode, uid, gid, mtime }: StoreAttributes): StoredAttributes {
  return {
    ...(mode !== undefined && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(mtime !== undefined && { mtime: String(mtime) }),
  };
}

function attributesOf({ mtime, ...rest }: StoredAttributes): StoreAttributes {
  return { ...rest, ...(mtime !== undefined && { mtime: BigInt(mtime) }) };
}
