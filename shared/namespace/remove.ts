import { LeatError } from '../model/faults.ts';
import { TRASH } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { type Name, type Path, toText } from '../model/names.ts';
import type { Change } from '../ports/metastore.ts';
import { demandChange, demandSticky, demandWritable } from './access.ts';
import { commit, type Context, inodeAt, LEASE_MS, type Place, putRow, retried } from './context.ts';
import { touchDirectory } from './directory-times.ts';
import type { Intent } from './intents.ts';
import { beginListing } from './listing.ts';
import type { Actor, Expectation } from './namespace.ts';
import { child, demandDirectory, reopen, resolveTarget, type Target } from './resolve.ts';

const CLOSING_POLL_MS = 5;

export async function remove(
  context: Context,
  actor: Actor,
  path: Path,
  options: { readonly kind: 'file' | 'directory' } & Expectation,
): Promise<void> {
  await retried(context, path, async () => {
    const target = await resolveTarget(context, actor, path);
    const place = await findEntry(context, actor, target);
    expectSame(place, options);
    demandNoMount(context, place);
    if (options.kind === 'directory') demandDirectory(place);
    else if (place.inode.kind === 'directory')
      throw new LeatError('isDirectory', `${toText(path)}: is a directory; remove it as one`);
    const isDone =
      options.kind === 'directory'
        ? await removeDirectory(context, actor, place)
        : await detach(context, actor, place, []);
    if (isDone) touchDirectory(context, target.directory);
    return isDone || undefined;
  });
}

/** One commit, whatever lies below: the row moves into the trash, the store is owed the removal, a reclaimer works behind. */
export async function removeTree(context: Context, actor: Actor, path: Path): Promise<void> {
  await retried(context, path, async () => {
    const target = await resolveTarget(context, actor, path);
    const place = await findEntry(context, actor, target);
    demandNoMount(context, place);
    const changes = place.inode.kind === 'directory' ? [toTrash(context, place.inode)] : [];
    const isDone = await detach(context, actor, place, changes);
    if (isDone) touchDirectory(context, target.directory);
    return isDone || undefined;
  });
}

export async function findEntry(context: Context, actor: Actor, { directory, name, path }: Target): Promise<Place> {
  const place = await child(context, actor, directory, name);
  if (!place) throw new LeatError('notFound', `${toText(path)}: no such file or directory`);
  demandChange(context, actor, directory);
  demandWritable(context, place);
  demandSticky(actor, directory, place);
  return place;
}

export function expectSame(place: Place, { id }: Expectation): void {
  if (id === undefined || id === place.inode.id) return;
  throw new LeatError('changed', `${toText(place.path)}: another file has taken this name; look again`);
}

/** A mount point, or a directory with one below, stays: its store would go with it. */
export function demandNoMount(context: Context, place: Place): void {
  for (const { mount } of context.mounted.values()) {
    if (mount.path === place.path || mount.path.startsWith(`${place.path}/`)) {
      throw new LeatError('busy', `${toText(place.path)}: ${toText(mount.path)} is a mount; unmount it first`);
    }
  }
}

export function toTrash(context: Context, inode: Inode): Change {
  const { origin: _, mount: __, closing: ___, ...row } = inode;
  return { act: 'put', key: { directory: TRASH, name: context.newToken() as Name }, when: 'absent', row };
}

async function detach(context: Context, actor: Actor, place: Place, changes: readonly Change[]): Promise<boolean> {
  const owed = removalOf(place);
  const promised = owed && context.intents.promise(owed);
  const removal: Change = { act: 'remove', key: place.key, when: { version: place.inode.version } };
  const { committed } = await commit(context, actor, [removal, ...changes, ...(promised ? [promised.change] : [])]);
  if (committed) promised?.accept();
  return committed;
}

export function removalOf({ origin, inode }: Place): Intent | undefined {
  if (!origin) return undefined;
  if (inode.kind === 'directory') return { act: 'removeTree', ...origin };
  return { act: 'remove', ...origin, kind: inode.kind };
}

/**
 * Marks the directory closing, then looks for entries, then deletes it on the condition that the mark is still its own. A
 * creator writes its row before it reads the mark, so one of the two sees the other.
 */
async function removeDirectory(context: Context, actor: Actor, place: Place): Promise<boolean> {
  if (place.origin && place.inode.listedAt === undefined) {
    await beginListing(context, place).done; // entries that nobody has looked at yet count too
    return false;
  }
  if (place.inode.closing && place.inode.closing.until > context.clock()) {
    await context.sleep(CLOSING_POLL_MS);
    return false;
  }
  const closing = { token: context.newToken(), until: context.clock() + LEASE_MS };
  if (!(await commit(context, actor, [putRow(place.key, place.inode, { closing })])).committed) return false;
  const marked = await inodeAt(context, place.key);
  if (marked?.closing?.token !== closing.token) return false;
  const [entry] = await context.metastore.list(place.inode.id, { limit: 1 });
  if (entry) {
    await reopen(context, place.key, marked);
    throw new LeatError('notEmpty', `${toText(place.path)}: is not empty; it holds ${toText(entry.name)}`);
  }
  if (context.clock() >= closing.until) return false;
  const owed = place.origin && ({ act: 'remove', ...place.origin, kind: 'directory' } as const);
  const promised = owed && context.intents.promise(owed);
  const removal: Change = { act: 'remove', key: place.key, when: { version: marked.version } };
  const { committed } = await commit(context, actor, promised ? [removal, promised.change] : [removal]);
  if (committed) promised?.accept();
  return committed;
}
