import { isFault, LeatError } from '../model/faults.ts';
import { isSpecialKind } from '../model/inode.ts';
import { type Path, toText } from '../model/names.ts';
import type { Change } from '../ports/metastore.ts';
import { demandAccess, demandChange, demandSticky, SEARCH, WRITE } from './access.ts';
import { closedEmpty } from './closing.ts';
import {
  asRead,
  commit,
  type Context,
  keyToTell,
  mountsWithin,
  type Owed,
  type Place,
  whenSettled,
} from './context.ts';
import { forgotten } from './directory-keys.ts';
import { isStored } from './hard-links.ts';
import type { Intent } from './intent.ts';
import type { Debtor, Turn } from './intents.ts';
import { partingOf, rescued } from './link-objects.ts';
import { load } from './list.ts';
import { refreshMounts } from './mount-table.ts';
import type { Actor, Expectation } from './namespace.ts';
import { child, demandDirectory, resolveTarget, type Target } from './resolve.ts';
import { toTrash } from './store-rows.ts';

export async function remove(
  context: Context,
  actor: Actor,
  path: Path,
  { kind, ...expect }: { readonly kind: 'file' | 'directory' } & Expectation,
): Promise<void> {
  const attempt = async (debtor: Debtor, turn: Turn) => {
    const target = await resolveTarget(context, actor, path);
    const place = await findExpected(context, actor, target, expect);
    if (!place) return true;
    await demandNoMount(context, place);
    if (kind === 'directory') demandDirectory(place);
    else if (place.inode.kind === 'directory') {
      throw new LeatError('isDirectory', `${toText(path)}: is a directory; remove it as one`);
    }
    if (place.inode.links) return takeName(context, actor, { place, debtor, turn, target });
    const isDone =
      kind === 'directory'
        ? await removeDirectory(context, actor, { place, debtor, way: target.chain })
        : await detach(context, actor, { place, debtor, way: target.chain });
    if (isDone) context.times.touch(context, target.directory);
    return isDone || undefined;
  };
  await whenSettled(context, path, () => context.intents.displacing(attempt));
}

/** One commit, whatever lies below: the row moves into the trash, the store is owed the removal, a reclaimer works behind. */
export async function removeTree(context: Context, actor: Actor, path: Path, expect: Expectation = {}): Promise<void> {
  const attempt = async (debtor: Debtor, turn: Turn) => {
    const target = await resolveTarget(context, actor, path);
    if (!turn.isOf(target.directory.origin?.mount)) return undefined;
    const place = await findExpected(context, actor, target, expect);
    if (!place) return true;
    await demandNoMount(context, place);
    if (place.inode.kind === 'directory') demandAccess(actor, place, WRITE | SEARCH);
    if (place.inode.links) return takeName(context, actor, { place, debtor, turn, target });
    const isTree = place.inode.kind === 'directory';
    const ready = isTree ? await rescued(context, actor, { tree: place, debtor }) : 'done';
    if (ready !== 'done') return ready;
    const besides = isTree ? toTrash(context, place.inode) : [];
    const isDone = await detach(context, actor, { place, debtor, way: target.chain, isTree, besides });
    if (isDone) context.times.touch(context, target.directory);
    return isDone || undefined;
  };
  await whenSettled(context, path, () => context.intents.displacing(attempt));
}

/** An entry that this actor may take out of its directory. */
async function findEntry(context: Context, actor: Actor, target: Target): Promise<Place> {
  const { directory, path } = target;
  const place = await child(context, actor, target);
  if (!place) throw new LeatError('notFound', `${toText(path)}: no such file or directory`);
  demandNoMountPoint(place);
  demandChange(context, actor, directory);
  demandSticky(actor, directory, place);
  return place;
}

/** Undefined: a request that is repeated, because its answer was lost, has done its work before. */
export async function findExpected(
  context: Context,
  actor: Actor,
  target: Target,
  expect: Expectation,
): Promise<Place | undefined> {
  const isRetry = actor.request?.isRetry ?? false;
  try {
    const place = await findEntry(context, actor, target);
    if (isRetry && expect.id !== undefined && expect.id !== place.inode.id) return undefined;
    expectSame(place, expect);
    return place;
  } catch (error) {
    if (isRetry && expect.id !== undefined && isFault(error, 'notFound')) return undefined;
    throw error;
  }
}

export function expectSame(place: Place, { id }: Expectation): void {
  if (id === undefined || id === place.inode.id) return;
  throw new LeatError('changed', `${toText(place.path)}: another file has taken this name; look again`);
}

function demandNoMountPoint({ inode, path }: Place): void {
  if (inode.mount !== undefined) throw new LeatError('busy', `${toText(path)}: is a mount; unmount it first`);
}

/** A mount point, or a directory with one below, stays: its store would go with it. */
export async function demandNoMount(context: Context, { path, inode }: Place): Promise<void> {
  if (inode.kind === 'directory') await refreshMounts(context);
  const [within] = mountsWithin(context, path);
  if (within) throw new LeatError('busy', `${toText(path)}: ${toText(within.mount.path)} is a mount; unmount it first`);
}

interface Detachment {
  readonly place: Place;
  readonly debtor: Debtor;
  readonly way: readonly Place[];
  /** A tree goes, else one entry. */
  readonly isTree?: boolean;
  readonly besides?: readonly Change[];
}

async function detach(context: Context, actor: Actor, detachment: Detachment): Promise<boolean> {
  const { place, debtor, way, isTree = false, besides = [] } = detachment;
  const owed = removalOf(context, place, { isTree, debtor });
  const promised = owed && debtor.promise(owed, way);
  const { committed } = await commit(context, actor, [
    { act: 'remove', key: place.key, when: asRead(place.inode) },
    ...besides,
    ...(promised ? [promised.change] : []),
  ]);
  if (committed) await promised?.accept();
  return committed;
}

export function removalOf(
  context: Context,
  { origin, inode, path }: Place,
  { isTree, debtor }: { readonly isTree: boolean; readonly debtor: Debtor },
): Intent | undefined {
  const { kind, id } = inode;
  // Of what was only written here the store has nothing yet.
  if (!origin || isSpecialKind(kind) || (inode.dirty && inode.fingerprint === undefined)) return undefined;
  const told = keyToTell(context, origin, { path, debtor });
  return isTree ? { act: 'removeTree', ...told, id } : { act: 'remove', ...told, kind };
}

interface Taking {
  readonly place: Place;
  readonly debtor: Debtor;
  readonly turn: Turn;
  readonly target: Target;
}

/** One of several names goes. */
async function takeName(
  context: Context,
  actor: Actor,
  { place, debtor, turn, target }: Taking,
): Promise<true | Owed | undefined> {
  if (isStored(place) && !turn.isOf(place.origin?.mount)) return undefined;
  const parting = await partingOf(context, place);
  if ('owed' in parting) return parting;
  const promised = parting.intent && debtor.promise(parting.intent, target.chain);
  const { committed } = await commit(context, actor, [
    { act: 'remove', key: place.key, when: asRead(place.inode) },
    ...parting.changes,
    ...(promised ? [promised.change] : []),
  ]);
  if (!committed) return undefined;
  await promised?.accept();
  context.times.touch(context, target.directory);
  return true;
}

async function removeDirectory(context: Context, actor: Actor, { place, debtor, way }: Detachment): Promise<boolean> {
  // Entries that nobody has looked at yet count too.
  await load(context, place);
  const isDone = await closedEmpty(context, actor, place, async (marked) => {
    const besides = [forgotten(context, marked)];
    const isDetached = await detach(context, actor, { place: { ...place, inode: marked }, debtor, way, besides });
    return isDetached || undefined;
  });
  return isDone ?? false;
}
