import { LeatError } from '../model/faults.ts';
import type { Inode, Origin } from '../model/inode.ts';
import { type Path, toText } from '../model/names.ts';
import type { Change, RowKey } from '../ports/metastore.ts';
import { demandAccess, demandChange, demandSticky, WRITE } from './access.ts';
import {
  commit,
  type Context,
  keyIn,
  MOVED_MAX,
  nanosOf,
  originOf,
  type Place,
  revised,
  retried,
  storeAt,
} from './context.ts';
import { touchDirectory } from './directory-times.ts';
import { beginListing } from './listing.ts';
import type { Actor, RenameOptions } from './namespace.ts';
import { demandNoMount, findEntry, removalOf } from './remove.ts';
import { child, demandDirectory, resolveTarget, type Target } from './resolve.ts';

export async function rename(
  context: Context,
  actor: Actor,
  from: Path,
  to: Path,
  options: RenameOptions = {},
): Promise<Inode> {
  return retried(context, from, () => attempt(context, actor, { from, to, options }));
}

interface Move {
  readonly from: Path;
  readonly to: Path;
  readonly options: RenameOptions;
}

async function attempt(context: Context, actor: Actor, { from, to, options }: Move): Promise<Inode | undefined> {
  const source = await resolveTarget(context, actor, from);
  const place = await findEntry(context, actor, source);
  const target = await resolveTarget(context, actor, to);
  demandChange(context, actor, target.directory);
  const replaced = await child(context, actor, target.directory, target.name);
  if (replaced?.inode.id === place.inode.id) return place.inode;
  demandAllowed(context, actor, { place, source, target, replaced, options });
  if (replaced?.inode.kind === 'directory' && !(await isEmpty(context, replaced))) {
    throw new LeatError('notEmpty', `${toText(to)}: a directory that is not empty cannot be replaced`);
  }
  return carryOver(context, actor, { place, source, target, replaced });
}

interface Planned {
  readonly place: Place;
  readonly source: Target;
  readonly target: Target;
  readonly replaced: Place | undefined;
}

function demandAllowed(
  context: Context,
  actor: Actor,
  { place, target, replaced, options }: Planned & { options: RenameOptions },
): void {
  const { path } = target;
  demandNoMount(context, place);
  if (replaced) {
    if (options.noReplace) throw new LeatError('exists', `${toText(path)}: exists`);
    demandNoMount(context, replaced);
    demandSticky(actor, target.directory, replaced);
    if (place.inode.kind === 'directory') demandDirectory(replaced);
    else if (replaced.inode.kind === 'directory')
      throw new LeatError('isDirectory', `${toText(path)}: is a directory; a file cannot replace it`);
  }
  if (target.chain.some((ancestor) => ancestor.inode.id === place.inode.id)) {
    throw new LeatError(
      'invalid',
      `${toText(path)}: lies below ${toText(place.path)}, which cannot be moved into itself`,
    );
  }
  // The `..` of a directory that changes its parent is written, so the directory itself must be writable.
  if (place.inode.kind === 'directory' && place.key.directory !== target.directory.inode.id)
    demandAccess(actor, place, WRITE);
  if (place.origin?.mount !== target.directory.origin?.mount) {
    throw new LeatError(
      'crossMount',
      `${toText(place.path)} and ${toText(path)} lie in different stores; copy it, then remove it`,
    );
  }
}

async function isEmpty(context: Context, directory: Place): Promise<boolean> {
  if (directory.origin && directory.inode.listedAt === undefined) await beginListing(context, directory).done;
  return (await context.metastore.list(directory.inode.id, { limit: 1 })).length === 0;
}

/**
 * One commit: the row leaves one key and is put at the other. Moving a directory checks every ancestor of the target, so that
 * of two moves that would make a circle one fails; a file checks only the directory that takes it in, against its removal.
 */
async function carryOver(
  context: Context,
  actor: Actor,
  { place, source, target, replaced }: Planned,
): Promise<Inode | undefined> {
  const key = keyIn(target.directory, target.name);
  const owed = debts(context, { place, source, target, replaced });
  const { origin: _, ...plain } = place.inode;
  const moved = revised(plain, { ctime: nanosOf(context.clock()), ...(owed.origin && { origin: owed.origin }) });
  const guarded = place.inode.kind === 'directory' ? target.chain : [target.directory];
  if (guarded.some(({ inode }) => inode.closing)) {
    await context.sleep(1);
    return undefined;
  }
  const changes: Change[] = [
    { act: 'remove', key: place.key, when: { version: place.inode.version } },
    { act: 'put', key, when: replaced ? { version: replaced.inode.version } : 'absent', row: moved },
    ...guarded.map(({ key: each, inode }): Change => ({ act: 'check', key: each, when: { version: inode.version } })),
    ...owed.promised.map(({ change }) => change),
  ];
  if (!(await commit(context, actor, changes)).committed) return undefined;
  for (const { accept } of owed.promised) accept();
  if (place.inode.kind === 'directory') rememberMove(context, place.inode, key);
  touchDirectory(context, source.directory);
  touchDirectory(context, target.directory);
  return moved;
}

interface Debts {
  /** Where the bytes stay until the store has moved them. */
  readonly origin: Origin | undefined;
  readonly promised: readonly ReturnType<Context['intents']['promise']>[];
}

function debts(context: Context, { place, target, replaced }: Planned): Debts {
  const inherited = originOf({ ...place.inode, origin: undefined } as unknown as Inode, target.directory, target.name);
  if (!place.origin || !inherited) return { origin: undefined, promised: [] };
  const removal = replaced && removalOf(replaced);
  const isSameKey = removal?.key === inherited.key;
  const { store } = storeAt(context, place.origin);
  const isThere =
    place.inode.fingerprint !== undefined ||
    place.inode.kind !== 'file' ||
    context.intents.covers(place.origin.mount, place.origin.key);
  const row: RowKey = keyIn(target.directory, target.name);
  const move = { act: 'move', ...place.origin, to: inherited.key, kind: place.inode.kind, row } as const;
  // A move replaces a file at its target by itself; a directory has to be gone before.
  const replacement =
    removal && (!isSameKey || replaced?.inode.kind === 'directory' || !store.supports.move)
      ? [context.intents.promise(removal)]
      : [];
  if (!isThere) return { origin: undefined, promised: replacement };
  return { origin: place.origin, promised: [...replacement, context.intents.promise(move)] };
}

function rememberMove(context: Context, { id }: Inode, key: RowKey): void {
  context.movedTo.delete(id);
  context.movedTo.set(id, key);
  for (const old of context.movedTo.keys()) {
    if (context.movedTo.size <= MOVED_MAX) return;
    context.movedTo.delete(old);
  }
}
