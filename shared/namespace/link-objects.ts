import { type Inode, isSpecialKind, type Origin, type StoreKey } from '../model/inode.ts';
import type { Path } from '../model/names.ts';
import type { Change } from '../ports/metastore.ts';
import { asRead, commit, type Context, homeOf, type Owed, type Place, revised } from './context.ts';
import { isStored, noted, notedIn, notedNoMore, otherNames, putAt, withoutName } from './hard-links.ts';
import { type Intent, type RowOf, rowOf } from './intent.ts';
import { reviseRow } from './intent-rows.ts';
import type { Debtor } from './intents.ts';
import type { Actor } from './namespace.ts';
import { find } from './written.ts';

/** What it takes, besides the change of its own row, that an inode with several names loses one. */
export interface Parting {
  readonly changes: readonly Change[];
  /** What becomes of the object. */
  readonly intent?: Intent;
}

/**
 * Of what has an object in a store this is to be asked in turn, as by who moves something: the object may have to be moved to
 * the key of another name, and that key must stay what it is.
 */
export async function partingOf(context: Context, place: Place): Promise<Parting | Owed> {
  const { inode, key, origin } = place;
  const others = otherNames(inode, key);
  const row = withoutName(context, inode, key);
  if (!origin || !isStored(place)) return { changes: putAt(others, inode, row) };
  if (context.intents.keys.isPending(origin)) return { owed: [origin] };
  if (homeOf(context, origin, place.path).key !== origin.key && others.length > 0) {
    return { changes: [...putAt(others, inode, row), ...noted(row)] };
  }
  const heir = await heirOf(context, { inode, names: others });
  if (!heir) {
    // Others that are left lie in trees that have been removed.
    const gone = others.map((each): Change => ({ act: 'remove', key: each, when: asRead(inode) }));
    return { changes: [...gone, ...notedNoMore(inode)], ...removalFrom(inode, origin) };
  }
  const kept = isUnstored(inode) ? { ...row, origin: heir.home } : row;
  return { changes: [...putAt(others, inode, kept), ...noted(kept)], ...moveTo(heir, inode, origin) };
}

/** What was only written here is not in the store yet, and is going to be put where its origin says by then. */
const isUnstored = ({ dirty, fingerprint }: Inode): boolean => dirty !== undefined && fingerprint === undefined;

function removalFrom(inode: Inode, origin: Origin): Pick<Parting, 'intent'> {
  const { kind } = inode;
  return isUnstored(inode) || isSpecialKind(kind) ? {} : { intent: { act: 'remove', ...origin, kind } };
}

function moveTo({ home, row }: Heir, inode: Inode, origin: Origin): Pick<Parting, 'intent'> {
  const { kind } = inode;
  if (isUnstored(inode) || isSpecialKind(kind)) return {};
  return { intent: { act: 'move', ...origin, to: home.key, kind, row } };
}

/** A name whose key the object can get. */
interface Heir {
  readonly row: RowOf;
  readonly home: Origin;
}

async function heirOf(
  context: Context,
  { inode, names, without }: { readonly inode: Inode; readonly names: Inode['links']; readonly without?: Path },
): Promise<Heir | undefined> {
  for (const name of names ?? []) {
    const row = rowOf(name, inode);
    const found = await find(context, row);
    if (!found?.origin || (without !== undefined && found.path.startsWith(`${without}/`))) continue;
    return { row, home: homeOf(context, found.origin, found.path) };
  }
  return undefined;
}

/**
 * Before a tree is removed with all that its store has below: objects there which have a name elsewhere are to be moved to it.
 * In turn, as the removal itself. Undefined: somebody was quicker.
 */
export async function rescued(
  context: Context,
  actor: Actor,
  { tree, debtor }: { readonly tree: Place; readonly debtor: Debtor },
): Promise<Owed | 'done' | undefined> {
  if (!tree.origin) return 'done';
  const keys = [tree.origin.key, homeOf(context, tree.origin, tree.path).key];
  for await (const { key, inode } of notedIn(context, tree.origin.mount)) {
    const { origin } = inode;
    if (!origin) continue;
    const isHere = keys.some((each) => isBelow(origin.key, each));
    // It may be on its way into the tree.
    if (context.intents.keys.isPending(origin) && (isHere || (await isNamedIn(context, inode, tree.path)))) {
      return { owed: [origin] };
    }
    if (!isHere) continue;
    const heir = await heirOf(context, { inode, names: inode.links, without: tree.path });
    if (!heir) continue;
    const { intent } = moveTo(heir, inode, origin);
    const promised = intent && debtor.promise(intent, []);
    const row = revised(inode, isUnstored(inode) ? { origin: heir.home } : {});
    const put = { act: 'put', key, when: asRead(inode), row } as const;
    if (!(await commit(context, actor, promised ? [put, promised.change] : [put])).committed) return undefined;
    await promised?.accept();
  }
  return 'done';
}

async function isNamedIn(context: Context, inode: Inode, directory: Path): Promise<boolean> {
  for (const name of inode.links ?? []) {
    const found = await find(context, rowOf(name, inode));
    if (found?.path.startsWith(`${directory}/`)) return true;
  }
  return false;
}

const isBelow = (key: StoreKey, directory: StoreKey): boolean => directory === '' || key.startsWith(`${directory}/`);

/** A directory has been moved in its store at once: the objects below that have several names are where it is now. */
export async function followed(
  context: Context,
  { mount, key, to }: Origin & { readonly to: StoreKey },
): Promise<void> {
  for await (const { key: name, inode } of notedIn(context, mount)) {
    await reviseRow(context, rowOf(name, inode), (now) => {
      if (!now.origin || !isBelow(now.origin.key, key)) return undefined;
      return { ...now, origin: { mount, key: `${to}${now.origin.key.slice(key.length)}` as StoreKey } };
    });
  }
}
