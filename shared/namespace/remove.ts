import { LeatError } from '../model/faults.ts';
import { type Path, toText } from '../model/names.ts';
import type { Change } from '../ports/metastore.ts';
import { demandAccess, demandChange, demandSticky, SEARCH, WRITE } from './access.ts';
import { closedEmpty } from './closing.ts';
import { asRead, commit, type Context, keyToTell, mountsWithin, type Place, retried } from './context.ts';
import type { Intent } from './intent.ts';
import type { Debtor } from './intents.ts';
import { load } from './list.ts';
import type { Actor, Expectation } from './namespace.ts';
import { child, demandDirectory, resolveTarget, type Target } from './resolve.ts';
import { toTrash } from './store-rows.ts';

export async function remove(
  context: Context,
  actor: Actor,
  path: Path,
  { kind, ...expect }: { readonly kind: 'file' | 'directory' } & Expectation,
): Promise<void> {
  const attempt = async (debtor: Debtor) => {
    const target = await resolveTarget(context, actor, path);
    const place = await findEntry(context, actor, target);
    expectSame(place, expect);
    demandNoMount(context, place);
    if (kind === 'directory') demandDirectory(place);
    else if (place.inode.kind === 'directory') {
      throw new LeatError('isDirectory', `${toText(path)}: is a directory; remove it as one`);
    }
    const isDone =
      kind === 'directory'
        ? await removeDirectory(context, actor, { place, debtor, way: target.chain })
        : await detach(context, actor, { place, debtor, way: target.chain });
    if (isDone) context.times.touch(context, target.directory);
    return isDone || undefined;
  };
  await retried(context, path, () => context.intents.owing(attempt));
}

/** One commit, whatever lies below: the row moves into the trash, the store is owed the removal, a reclaimer works behind. */
export async function removeTree(context: Context, actor: Actor, path: Path): Promise<void> {
  const attempt = async (debtor: Debtor) => {
    const target = await resolveTarget(context, actor, path);
    const place = await findEntry(context, actor, target);
    demandNoMount(context, place);
    if (place.inode.kind === 'directory') demandAccess(actor, place, WRITE | SEARCH);
    const trash = place.inode.kind === 'directory' ? toTrash(context, place.inode) : undefined;
    const isDone = await detach(context, actor, { place, debtor, way: target.chain, trash });
    if (isDone) context.times.touch(context, target.directory);
    return isDone || undefined;
  };
  await retried(context, path, async () => {
    const { directory } = await resolveTarget(context, actor, path);
    return context.intents.displacing(directory.origin?.mount, attempt);
  });
}

/** An entry that this actor may take out of its directory. */
export async function findEntry(context: Context, actor: Actor, { directory, name, path }: Target): Promise<Place> {
  const place = await child(context, actor, directory, name);
  if (!place) throw new LeatError('notFound', `${toText(path)}: no such file or directory`);
  demandNoMountPoint(place);
  demandChange(context, actor, directory);
  demandSticky(actor, directory, place);
  return place;
}

export function expectSame(place: Place, { id }: Expectation): void {
  if (id === undefined || id === place.inode.id) return;
  throw new LeatError('changed', `${toText(place.path)}: another file has taken this name; look again`);
}

function demandNoMountPoint({ inode, path }: Place): void {
  if (inode.mount !== undefined) throw new LeatError('busy', `${toText(path)}: is a mount; unmount it first`);
}

/** A mount point, or a directory with one below, stays: its store would go with it. */
export function demandNoMount(context: Context, { path }: Place): void {
  const [within] = mountsWithin(context, path);
  if (within) throw new LeatError('busy', `${toText(path)}: ${toText(within.mount.path)} is a mount; unmount it first`);
}

interface Detachment {
  readonly place: Place;
  readonly debtor: Debtor;
  readonly way: readonly Place[];
  /** With it a tree goes, else one entry. */
  readonly trash?: Change | undefined;
}

async function detach(context: Context, actor: Actor, { place, debtor, way, trash }: Detachment): Promise<boolean> {
  const owed = removalOf(context, place, { isTree: trash !== undefined, debtor });
  const promised = owed && debtor.promise(owed, way);
  const { committed } = await commit(context, actor, [
    { act: 'remove', key: place.key, when: asRead(place.inode) },
    ...(trash ? [trash] : []),
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
  if (!origin) return undefined;
  const told = keyToTell(context, origin, { path, debtor });
  return isTree ? { act: 'removeTree', ...told, id: inode.id } : { act: 'remove', ...told, kind: inode.kind };
}

async function removeDirectory(context: Context, actor: Actor, { place, debtor, way }: Detachment): Promise<boolean> {
  // Entries that nobody has looked at yet count too.
  await load(context, place);
  const isDone = await closedEmpty(context, actor, place, async (marked) => {
    const isDetached = await detach(context, actor, { place: { ...place, inode: marked }, debtor, way });
    return isDetached || undefined;
  });
  return isDone ?? false;
}
