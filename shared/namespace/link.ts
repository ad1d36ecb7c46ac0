import { LeatError } from '../model/faults.ts';
import type { Inode } from '../model/inode.ts';
import { type Path, toText } from '../model/names.ts';
import { usageOf } from '../model/quota.ts';
import type { Change } from '../ports/metastore.ts';
import { demandChange } from './access.ts';
import { hasWaited } from './closing.ts';
import {
  asRead,
  checked,
  commit,
  type Context,
  hasArrived,
  homeOf,
  keyIn,
  nanosOf,
  type Owed,
  type Place,
  revised,
  whenSettled,
} from './context.ts';
import { isStored, LINKS_MAX, noted, otherNames, putAt } from './hard-links.ts';
import type { Debtor, Turn } from './intents.ts';
import type { Actor } from './namespace.ts';
import { spending } from './quotas.ts';
import { child, resolveTarget, type Target } from './resolve.ts';
import { RowsAhead } from './rows-ahead.ts';

/** As link(2): one more name for what is no directory. A symlink at the end of `from` is not followed. */
export function link(context: Context, actor: Actor, from: Path, to: Path): Promise<Inode> {
  return whenSettled(context, to, () =>
    context.intents.displacing((debtor, turn) => attempt(context, actor, { from, to, debtor, turn })),
  );
}

interface Wish {
  readonly from: Path;
  readonly to: Path;
  readonly debtor: Debtor;
  readonly turn: Turn;
}

async function attempt(context: Context, actor: Actor, wish: Wish): Promise<Inode | Owed | undefined> {
  const ahead = new RowsAhead(context, [wish.from, wish.to]);
  const source = await resolveTarget(context, actor, wish.from, ahead);
  const place = await child(context, actor, source);
  if (!place) throw new LeatError('notFound', `${toText(wish.from)}: no such file or directory`);
  if (place.inode.kind === 'directory') {
    throw new LeatError('notPermitted', `${toText(wish.from)}: is a directory, which has one name only`);
  }
  const target = await resolveTarget(context, actor, wish.to, ahead);
  const there = await child(context, actor, target);
  // A request that is repeated because its answer was lost finds what it has made.
  if (there && actor.request?.isRetry && there.inode.id === place.inode.id) return there.inode;
  demandLinkable(context, actor, { place, target, there });
  if (await hasWaited(context, [source.directory, target.directory])) return undefined;
  if (!isStored(place)) return linked(context, actor, { place, source, target });
  // The object stays at its key while its rows begin to say at which.
  if (!wish.turn.isOf(place.origin?.mount)) return undefined;
  const keys = place.origin ? [place.origin, homeOf(context, place.origin, place.path)] : [];
  if (keys.some((key) => context.intents.keys.isPending(key))) return { owed: keys };
  return hasArrived(context, place, wish.debtor) ? undefined : linked(context, actor, { place, source, target });
}

interface Wanted {
  readonly place: Place;
  readonly target: Target;
}

function demandLinkable(
  context: Context,
  actor: Actor,
  { place, target, there }: Wanted & { readonly there: Place | undefined },
): void {
  const [from, to] = [toText(place.path), toText(target.path)];
  if (there) throw new LeatError('exists', `${to}: exists`);
  demandChange(context, actor, target.directory);
  if (place.origin?.mount !== target.directory.origin?.mount) {
    throw new LeatError('crossMount', `${from} and ${to} lie in different stores; copy it`);
  }
  if ((place.inode.links?.length ?? 1) >= LINKS_MAX) {
    throw new LeatError('tooManyNames', `${from}: has ${LINKS_MAX} names, as many as there can be; copy it`);
  }
}

/**
 * One commit. It depends on both directories, so that neither is being removed: a name in a tree that is gone must not get
 * company when the reclaimer has already looked at it.
 */
async function linked(
  context: Context,
  actor: Actor,
  { place, source, target }: Wanted & { readonly source: Target },
): Promise<Inode | undefined> {
  const { inode } = place;
  const key = keyIn(target.directory, target.name);
  const row = revised(inode, {
    ctime: nanosOf(context.clock()),
    links: [...(inode.links ?? [place.key]), key],
    ...(place.origin && isStored(place) && { origin: place.origin }),
  });
  const directories = [source.directory, target.directory].filter(isFirst);
  const changes: Change[] = [
    { act: 'put', key: place.key, when: asRead(inode), row },
    ...putAt(otherNames(inode, place.key), inode, row),
    { act: 'put', key, when: 'absent', row },
    ...directories.map(({ key: each, inode: directory }) => checked(each, directory)),
    ...noted(row),
  ];
  const spent = { way: target.chain, path: target.path, usage: usageOf(key, row) };
  const isDone = await spending(context, spent, async () => (await commit(context, actor, changes)).committed);
  if (!isDone) return undefined;
  context.times.touch(context, target.directory);
  return row;
}

const isFirst = ({ inode }: Place, at: number, all: readonly Place[]): boolean =>
  all.findIndex((each) => each.inode.id === inode.id) === at;
