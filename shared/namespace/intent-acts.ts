import { isFault } from '../model/faults.ts';
import type { StoreEntry, UnderStore } from '../ports/under-store.ts';
import { type Context, mountedAt } from './context.ts';
import { attributesOf, type Intent, type RowOf } from './intent.ts';
import { carryOutMove } from './intent-moves.ts';
import { ownRow, reviseRow } from './intent-rows.ts';
import { removeBelow } from './store-tree.ts';

/** Does what is owed. Every act may have been done before, wholly or in part, by a process that died: it is done again. */
export async function carryOut(context: Context, intent: Intent): Promise<void> {
  const { store } = mountedAt(context, intent.mount);
  switch (intent.act) {
    case 'remove':
      return store.remove(intent.key, intent.kind);
    case 'removeTree':
      return removeBelow(store, intent.key, () => context.intents.demandRunning());
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

/** The bytes are the same, so the generation stays: only the store's name for them has changed. */
async function keepFingerprint(context: Context, row: RowOf, { fingerprint }: StoreEntry): Promise<void> {
  if (fingerprint === undefined) return;
  await reviseRow(context, row, (now) => (now.kind === 'directory' ? undefined : { ...now, fingerprint }));
}
