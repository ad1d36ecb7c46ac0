import { isFault } from '../model/faults.ts';
import type { InodeId } from '../model/ids.ts';
import { type Inode, isSameTime, type Origin, type StoreKey } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import type { RowKey } from '../ports/metastore.ts';
import type { StoreEntry, UnderStore } from '../ports/under-store.ts';
import { type Context, inodeAt } from './context.ts';
import { ownRow, reviseRow } from './intent-rows.ts';
import { type Intent, type RowOf, rowOf } from './intent.ts';
import { followed } from './link-objects.ts';
import { inLanes } from './lanes.ts';
import { SHADOWED_SUFFIX } from './shadowed.ts';
import { entriesOf, removeBelow } from './store-tree.ts';

type Move = Intent & { readonly act: 'move' };

const COPIES_IN_FLIGHT = 16;

/**
 * Brings the bytes to where the row is. Copies first, then tells readers, then removes: at every moment the row names a key
 * that is there. Nothing else touches either key meanwhile, and the row is not renamed again before this is done; but it may
 * be removed, and then neither key belongs to anybody any more.
 */
export async function carryOutMove(context: Context, store: UnderStore, move: Move): Promise<void> {
  const row = await ownRow(context, move.row);
  if (!row) {
    await removeAt(context, store, move, move.key);
    await removeAt(context, store, move, move.to);
    return;
  }
  if (row.origin?.key === move.key) await bring(context, store, move);
  context.intents.keys.leave(move);
  if (!store.supports.move) await removeAt(context, store, move, move.key);
}

async function bring(context: Context, store: UnderStore, move: Move): Promise<void> {
  try {
    if (store.supports.move) {
      context.intents.keys.leave(move);
      await store.move(move.key, move.to);
      if (move.kind === 'directory') await followed(context, move);
    } else if (move.kind === 'directory') await copyBelow(context, store, move);
    else return await settle(context, move, await copyOf(store, move.key, move.to));
    await settle(context, move, move.kind === 'directory' ? undefined : await movedEntry(store, move.to));
  } catch (error) {
    if (!isFault(error, 'notFound')) throw error;
    // Taken away behind our back: the next read or sync finds out, and takes the row away too.
    await settle(context, move, undefined);
  }
}

/** What lies at the new key, and how to tell whether it is what the row speaks of. */
interface Arrived {
  readonly entry: StoreEntry;
  isContentOf(row: Inode): boolean;
}

/** A copy may bear another fingerprint; when the original has kept the row's until after it was copied, it is that content. */
async function copyOf(store: UnderStore, from: StoreKey, to: StoreKey): Promise<Arrived> {
  const entry = await store.copy(from, to);
  const original = await store.stat(from);
  const isContentOf = ({ fingerprint }: Inode) => fingerprint !== undefined && fingerprint === original?.fingerprint;
  return { entry, isContentOf };
}

/**
 * A file system's rename changes the ctime, and with it the fingerprint, but neither size nor mtime. Of a symlink it does not
 * keep our mtime, and the target is all there is.
 */
async function movedEntry(store: UnderStore, to: StoreKey): Promise<Arrived | undefined> {
  const entry = await store.stat(to);
  if (!entry) return undefined;
  const isContentOf = ({ kind, target, size, mtime }: Inode) =>
    kind === 'symlink' ? target === entry.target : size === entry.size && isSameTime(mtime, entry.mtime ?? mtime);
  return { entry, isContentOf };
}

/** From now on the row's bytes are where its name says. */
async function settle(context: Context, move: Move, arrived: Arrived | undefined): Promise<void> {
  await reviseRow(context, move.row, (row) => {
    if (row.origin?.key !== move.key) return undefined;
    const { origin: _, ...plain } = row;
    // What has several names says at which key its object is.
    const settled = row.links ? { ...row, origin: { mount: move.mount, key: move.to } } : plain;
    return arrived ? arrivedRow(settled, arrived) : settled;
  });
}

function arrivedRow(row: Inode, { entry, isContentOf }: Arrived): Inode {
  const fingerprint = entry.fingerprint !== undefined && { fingerprint: entry.fingerprint };
  // What was written since lies at an agent, and replaces it.
  if (row.dirty) return { ...row, ...fingerprint };
  if (entry.fingerprint === row.fingerprint || isContentOf(row)) return { ...row, ...fingerprint };
  const time = entry.mtime !== undefined && { mtime: entry.mtime };
  return { ...row, ...fingerprint, ...time, size: entry.size, generation: row.generation + 1 };
}

async function copyBelow(context: Context, store: UnderStore, { key, to, row, mount }: Move): Promise<void> {
  await inLanes(walk(context, store, { key, id: row.id }), COPIES_IN_FLIGHT, async (found) => {
    context.intents.demandRunning();
    const target = `${to}${found.entry.key.slice(key.length)}` as StoreKey;
    if (found.entry.kind === 'directory') return store.makeDirectory(target);
    const copied = await copyOf(store, found.entry.key, target);
    if (found.row) await followCopy(context, found.row, copied, { mount, key: target });
  });
  await store.makeDirectory(to);
}

/** Where the copy is another version by name, its row must say so at once, and then also where it is. */
async function followCopy(context: Context, row: RowOf, copied: Arrived, origin: Origin): Promise<void> {
  await reviseRow(context, row, (now) => {
    const isAsBefore = copied.entry.fingerprint === undefined || copied.entry.fingerprint === now.fingerprint;
    return isAsBefore && !now.origin ? undefined : { ...arrivedRow(now, copied), origin };
  });
}

interface Walked {
  readonly entry: StoreEntry;
  /** Its row, when it has been listed. */
  readonly row: RowOf | undefined;
}

interface WalkFrom {
  readonly key: StoreKey;
  /** Undefined below what nobody has listed yet. */
  readonly id: InodeId | undefined;
}

async function* walk(context: Context, store: UnderStore, { key, id }: WalkFrom): AsyncGenerator<Walked> {
  for await (const entry of entriesOf(store, key)) {
    const row = id === undefined ? undefined : await rowFor(context, id, entry);
    yield { entry, row };
    if (entry.kind === 'directory') yield* walk(context, store, { key: entry.key, id: row?.id });
  }
}

async function rowFor(context: Context, directory: InodeId, entry: StoreEntry): Promise<RowOf | undefined> {
  const name = entry.key.slice(entry.key.lastIndexOf('/') + 1) as Name;
  for (const each of [name, `${name}${SHADOWED_SUFFIX}` as Name]) {
    const key: RowKey = { directory, name: each };
    const inode = await inodeAt(context, key);
    const isElsewhere = each !== name || inode?.links !== undefined;
    const isIts = inode?.kind === entry.kind && (!isElsewhere || inode.origin?.key === entry.key);
    if (inode && isIts) return rowOf(key, inode);
  }
  return undefined;
}

async function removeAt(context: Context, store: UnderStore, { kind }: Move, key: StoreKey): Promise<void> {
  if (kind === 'directory') await removeBelow(store, key, () => context.intents.demandRunning());
  else await store.remove(key, kind);
}
