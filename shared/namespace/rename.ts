import { LeatError } from '../model/faults.ts';
import { type Fingerprint, type Inode, isSpecialKind, type Origin, type StoreKey } from '../model/inode.ts';
import { type Path, toText } from '../model/names.ts';
import { type Change, CHANGES_MAX, type RowKey } from '../ports/metastore.ts';
import { demandAccess, demandChange, demandSticky, WRITE } from './access.ts';
import { closedEmpty, hasWaited } from './closing.ts';
import {
  asRead,
  commit,
  type Context,
  hasArrived,
  homeOf,
  inheritedOrigin,
  keyIn,
  nanosOf,
  type Place,
  retried,
  revised,
} from './context.ts';
import { forgotten, keptFromNowAt } from './directory-keys.ts';
import { rowOf } from './intent.ts';
import type { Debtor, Promised, Turn } from './intents.ts';
import { load } from './list.ts';
import type { Actor, RenameOptions } from './namespace.ts';
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
  return retried(context, from, async () => {
    const outcome = await context.intents.displacing((debtor, turn) =>
      attempt(context, actor, { from, to, options, debtor, turn }),
    );
    // Outside of the turn: others go on while the store catches up.
    if (outcome && 'owed' in outcome) await context.intents.settled(outcome.owed);
    return outcome && 'moved' in outcome ? outcome.moved : undefined;
  });
}

/** Undefined: somebody was quicker. `owed`: these keys have to be settled before. */
type Outcome = { readonly moved: Inode } | { readonly owed: readonly Origin[] } | undefined;

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
    // At another key it has been moved by others between our two looks.
    const isSame = replaced.key.directory === place.key.directory && replaced.key.name === place.key.name;
    return isSame ? { moved: place.inode } : undefined;
  }
  const plan = { place, source, target, replaced, debtor };
  await demandAllowed(context, actor, plan);
  // What has to be waited for comes before the mark: nobody waits while others wait for him.
  if (await hasWaited(context, [place, ...guardedBy(plan)])) return undefined;
  if (hasArrived(context, place, debtor)) return undefined;
  const keys = keysOf(context, place);
  if (keys.some((each) => context.intents.keys.isPending(each))) return { owed: keys };
  if (replaced?.inode.kind !== 'directory') return carryOver(context, actor, plan);
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

async function demandAllowed(context: Context, actor: Actor, { place, target, replaced }: Plan): Promise<void> {
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
  const { place, source, target, replaced } = plan;
  const isOwed = keysOf(context, place).some((each) => context.intents.keys.isPending(each));
  if (isOwed || hasArrived(context, place, plan.debtor)) return undefined;
  const key = keyIn(target.directory, target.name);
  const { origin, promised, fingerprint } = debtsOf(context, plan);
  const { origin: _, ...plain } = place.inode;
  const kept = { ...(origin && { origin }), ...(fingerprint !== undefined && { fingerprint }) };
  const moved = revised(plain, { ctime: nanosOf(context.clock()), ...kept });
  const changes: Change[] = [
    { act: 'remove', key: place.key, when: asRead(place.inode) },
    { act: 'put', key, when: replaced ? asRead(replaced.inode) : 'absent', row: moved },
    ...guardedBy(plan).map(({ key: each, inode }) => check(each, inode)),
    ...promised.map(({ change }) => change),
    ...(moved.kind === 'directory' ? [keptFromNowAt(moved.id, key, moved.version)] : []),
    ...(replaced?.inode.kind === 'directory' ? [forgotten(context, replaced.inode)] : []),
  ];
  const { committed } = await commit(context, actor, changes);
  if (!committed) return undefined;
  await Promise.all(promised.map(({ accept }) => accept()));
  context.times.touch(context, source.directory);
  context.times.touch(context, target.directory);
  return { moved };
}

const check = (key: RowKey, inode: Inode): Change => ({ act: 'check', key, when: asRead(inode) });

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
  const { kind } = place.inode;
  const removal = replaced && removalOf(context, replaced, { isTree: false, debtor });
  if (isSpecialKind(kind)) {
    return { origin: undefined, promised: removal ? [debtor.promise(removal, target.chain)] : [] };
  }
  const to = homeOf(context, place.origin, target.path).key;
  if (place.inode.dirty && place.inode.fingerprint === undefined) return debtsOfUnstored(context, plan, to);
  const row = rowOf(keyIn(target.directory, target.name), place.inode);
  const move = { act: 'move', ...place.origin, to, kind, row } as const;
  // A file is replaced by the move itself; a directory, or what lies elsewhere, has to be gone before.
  const isNeeded = replaced?.inode.kind === 'directory' || removal?.key !== to;
  return {
    origin: place.origin,
    promised: [...(removal && isNeeded ? [removal] : []), move].map((each) => debtor.promise(each, target.chain)),
  };
}

/** The store has nothing of it yet, so nothing is to be moved: it is going to be uploaded to where it is by then. */
function debtsOfUnstored(context: Context, { target, replaced, debtor }: Plan, to: StoreKey): Debts {
  if (!replaced) return { origin: undefined, promised: [] };
  const { origin, inode } = replaced;
  if (origin?.key === to && inode.kind === 'file' && inode.fingerprint !== undefined) {
    return { origin: undefined, promised: [], fingerprint: inode.fingerprint };
  }
  const removal = removalOf(context, replaced, { isTree: false, debtor });
  return { origin: undefined, promised: removal ? [debtor.promise(removal, target.chain)] : [] };
}
