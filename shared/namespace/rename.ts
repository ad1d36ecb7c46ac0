import { LeatError } from '../model/faults.ts';
import { type Fingerprint, type Inode, isAt, isSpecialKind, type Origin, type StoreKey } from '../model/inode.ts';
import { type Path, toText } from '../model/names.ts';
import { type Change, CHANGES_MAX } from '../ports/metastore.ts';
import { demandAccess, demandChange, demandSticky, WRITE } from './access.ts';
import { closedEmpty, hasWaited } from './closing.ts';
import {
  asRead,
  checked,
  commit,
  type Context,
  hasArrived,
  homeOf,
  inheritedOrigin,
  keyIn,
  nanosOf,
  type Place,
  type Owed,
  revised,
  whenSettled,
} from './context.ts';
import { forgotten, keptFromNowAt } from './directory-keys.ts';
import { noted, otherNames, putAt } from './hard-links.ts';
import { type Intent, rowOf } from './intent.ts';
import type { Debtor, Promised, Turn } from './intents.ts';
import { type Parting, partingOf } from './link-objects.ts';
import { load } from './list.ts';
import type { Actor, RenameOptions } from './namespace.ts';
import { growthBy, type Spending, spending } from './quotas.ts';
import { demandNoMount, findExpected, removalOf } from './remove.ts';
import { child, demandDirectory, resolveTarget, type Target } from './resolve.ts';
import { RowsAhead } from './rows-ahead.ts';

/** Room in a commit for the row itself, at both keys, and what the store is owed. */
const CHANGES_BESIDE_MAX = 8;

export async function rename(
  context: Context,
  actor: Actor,
  from: Path,
  to: Path,
  options: RenameOptions = {},
): Promise<Inode> {
  const { moved } = await whenSettled(context, from, () =>
    context.intents.displacing((debtor, turn) => attempt(context, actor, { from, to, options, debtor, turn })),
  );
  return moved;
}

/** Undefined: somebody was quicker. */
type Outcome = { readonly moved: Inode } | Owed | undefined;

interface Wish {
  readonly from: Path;
  readonly to: Path;
  readonly options: RenameOptions;
  readonly debtor: Debtor;
  readonly turn: Turn;
}

interface Plan {
  readonly debtor: Debtor;
  readonly place: Place;
  readonly source: Target;
  readonly target: Target;
  readonly replaced: Place | undefined;
  /** Of what is replaced, but has other names. */
  readonly parting: Parting | undefined;
  /** What quotas have to take in. */
  readonly growth: Spending;
}

async function attempt(context: Context, actor: Actor, wish: Wish): Promise<Outcome> {
  const { from, to, options, debtor, turn } = wish;
  const ahead = new RowsAhead(context, [from, to]);
  const source = await resolveTarget(context, actor, from, ahead);
  if (!turn.isOf(source.directory.origin?.mount)) return undefined;
  const place = await findExpected(context, actor, source, options);
  const target = await resolveTarget(context, actor, to, ahead);
  const replaced = await child(context, actor, target);
  if (!place) return { moved: movedBefore(replaced, wish) };
  demandChange(context, actor, target.directory);
  if (replaced && options.noReplace) throw new LeatError('exists', `${toText(to)}: exists`);
  if (replaced?.inode.id === place.inode.id) {
    // As POSIX: of two names of one inode both stay. At a key that is none, others have moved it between our two looks.
    const names = place.inode.links ?? [place.key];
    return names.some((each) => isAt(each, replaced.key)) ? { moved: place.inode } : undefined;
  }
  await demandAllowed(context, actor, { place, source, target, replaced, debtor, parting: undefined });
  const growth = await growthBy(context, { from: source, to: target, place, replaced });
  const plan = { place, source, target, replaced, debtor, growth, parting: undefined };
  // What has to be waited for comes before the mark: nobody waits while others wait for him.
  if (await hasWaited(context, [place, ...guardedBy(plan)])) return undefined;
  if (hasArrived(context, place, debtor)) return undefined;
  const keys = keysOf(context, place);
  if (keys.some((each) => context.intents.keys.isPending(each))) return { owed: keys };
  const parting = replaced?.inode.links && (await partingOf(context, replaced));
  if (parting && 'owed' in parting) return parting;
  if (replaced?.inode.kind !== 'directory') return carryOver(context, actor, { ...plan, parting });
  // A directory that is replaced is removed, with all the care that takes.
  await load(context, replaced);
  return closedEmpty(context, actor, replaced, (inode) =>
    carryOver(context, actor, { ...plan, replaced: { ...replaced, inode } }),
  );
}

/** What a request that is repeated, because its answer was lost, has moved is at the target. */
function movedBefore(there: Place | undefined, { from, options: { id } }: Wish): Inode {
  if (there && id === there.inode.id) return there.inode;
  throw new LeatError('notFound', `${toText(from)}: no such file or directory`);
}

/** What is owed names keys, so keys do not change under it. */
function keysOf(context: Context, { origin, path }: Place): readonly Origin[] {
  return origin ? [origin, homeOf(context, origin, path)] : [];
}

/**
 * A directory that changes its parent checks every ancestor of the target, so that of two moves that would make a circle one
 * fails; else only the directory that takes the row in is checked, against its removal.
 */
function guardedBy({ place, target }: Plan): readonly Place[] {
  const isMovedAway = place.key.directory !== target.directory.inode.id;
  return place.inode.kind === 'directory' && isMovedAway ? target.chain : [target.directory];
}

async function demandAllowed(
  context: Context,
  actor: Actor,
  { place, target, replaced }: Omit<Plan, 'growth'>,
): Promise<void> {
  const { path, directory, chain } = target;
  await demandNoMount(context, place);
  if (chain.some((ancestor) => ancestor.inode.id === place.inode.id)) {
    const what = `lies below ${toText(place.path)}, which cannot be moved into itself`;
    throw new LeatError('invalid', `${toText(path)}: ${what}`);
  }
  if (replaced) {
    await demandNoMount(context, replaced);
    demandSticky(actor, directory, replaced);
    if (place.inode.kind === 'directory') demandDirectory(replaced);
    else if (replaced.inode.kind === 'directory') {
      throw new LeatError('isDirectory', `${toText(path)}: is a directory; a file cannot replace it`);
    }
  }
  if (chain.length > CHANGES_MAX - CHANGES_BESIDE_MAX) {
    throw new LeatError('unsupported', `${toText(path)}: is too deep to move a directory into`);
  }
  // The `..` of a directory that changes its parent is written, so the directory itself must be writable.
  const isMovedAway = place.key.directory !== directory.inode.id;
  if (place.inode.kind === 'directory' && isMovedAway) demandAccess(actor, place, WRITE);
  if (place.origin?.mount !== directory.origin?.mount) {
    const what = `${toText(place.path)} and ${toText(path)} lie in different stores`;
    throw new LeatError('crossMount', `${what}; copy it, then remove it`);
  }
}

/** One commit: the row leaves one key and is put at the other. */
async function carryOver(context: Context, actor: Actor, plan: Plan): Promise<{ readonly moved: Inode } | undefined> {
  const { place, source, target, replaced, parting } = plan;
  const isOwed = keysOf(context, place).some((each) => context.intents.keys.isPending(each));
  if (isOwed || hasArrived(context, place, plan.debtor)) return undefined;
  const key = keyIn(target.directory, target.name);
  const { origin, promised, fingerprint } = debtsOf(context, plan);
  const { origin: _, ...plain } = place.inode;
  const kept = { ...(origin && { origin }), ...(fingerprint !== undefined && { fingerprint }) };
  const links = place.inode.links && [...otherNames(place.inode, place.key), key];
  const moved = revised(plain, { ctime: nanosOf(context.clock()), ...kept, ...(links && { links }) });
  const changes: Change[] = [
    { act: 'remove', key: place.key, when: asRead(place.inode) },
    { act: 'put', key, when: replaced ? asRead(replaced.inode) : 'absent', row: moved },
    ...putAt(otherNames(place.inode, place.key), place.inode, moved),
    ...noted(moved),
    ...(parting?.changes ?? []),
    ...guardedBy(plan).map(({ key: each, inode }) => checked(each, inode)),
    ...promised.map(({ change }) => change),
    ...(moved.kind === 'directory' ? [keptFromNowAt(moved.id, key, moved.version)] : []),
    ...(replaced?.inode.kind === 'directory' ? [forgotten(context, replaced.inode)] : []),
  ];
  const isDone = await spending(context, plan.growth, async () => (await commit(context, actor, changes)).committed);
  if (!isDone) return undefined;
  await Promise.all(promised.map(({ accept }) => accept()));
  context.times.touch(context, source.directory);
  context.times.touch(context, target.directory);
  return { moved };
}

interface Debts {
  /** Where the bytes stay until the store has moved them. */
  readonly origin: Origin | undefined;
  readonly promised: readonly Promised[];
  /** Of an object that is replaced only when what was written here comes to its key. */
  readonly fingerprint?: Fingerprint;
}

function debtsOf(context: Context, plan: Plan): Debts {
  const { place, target, replaced, debtor } = plan;
  const home = inheritedOrigin(target.directory, target.name);
  if (!place.origin || !home) return { origin: undefined, promised: [] };
  const { kind, links, dirty, fingerprint } = place.inode;
  const removal = removalOfReplaced(context, plan);
  const removed = () => (removal ? [debtor.promise(removal, target.chain)] : []);
  if (isSpecialKind(kind)) return { origin: undefined, promised: removed() };
  // The object has the key of another of its names, and keeps it.
  if (links && place.origin.key !== homeOf(context, place.origin, place.path).key) {
    return { origin: place.origin, promised: removed() };
  }
  const to = homeOf(context, place.origin, target.path).key;
  // Of what the store has not yet nothing is to be moved: it is going to be uploaded to where it is by then.
  if (dirty && fingerprint === undefined) {
    const origin = links && { mount: place.origin.mount, key: to };
    const taken = fingerprintTaken(plan, to);
    return taken === undefined ? { origin, promised: removed() } : { origin, promised: [], fingerprint: taken };
  }
  const row = rowOf(keyIn(target.directory, target.name), place.inode);
  const move = { act: 'move', ...place.origin, to, kind, row } as const;
  // A file is replaced by the move itself; a directory, or what lies or goes elsewhere, has to be gone before.
  const isNeeded = replaced?.inode.kind === 'directory' || removal?.act === 'move' || removal?.key !== to;
  return { origin: place.origin, promised: [...(isNeeded ? removed() : []), debtor.promise(move, target.chain)] };
}

/** Of the object that is replaced by what is going to be uploaded to its key. */
function fingerprintTaken({ replaced }: Plan, to: StoreKey): Fingerprint | undefined {
  const isReplaced = replaced?.origin?.key === to && replaced.inode.kind === 'file' && !replaced.inode.links;
  return isReplaced ? replaced.inode.fingerprint : undefined;
}

/** What becomes of the object of what is replaced. */
function removalOfReplaced(context: Context, { replaced, parting, debtor }: Plan): Intent | undefined {
  if (!replaced) return undefined;
  return replaced.inode.links ? parting?.intent : removalOf(context, replaced, { isTree: false, debtor });
}
