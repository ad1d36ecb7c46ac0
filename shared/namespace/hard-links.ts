import { LINKED } from '../model/ids.ts';
import { type HardLink, type Inode, isAt, isSpecialKind, type MountId } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import type { Change, RowKey } from '../ports/metastore.ts';
import { allRows } from './all-rows.ts';
import { asRead, type Context, inodeAt, nanosOf, type Place, revised } from './context.ts';

/**
 * Hard links. At each name of an inode stands the same row, whole, with the list of all its names in it: whoever reads a name
 * reads it as that of any file, in one round trip, and lists, caches, the feed and the kernel's worker need to know nothing.
 * Whoever changes the inode changes the rows at all its names, in one commit, whose conditions hold for all of them. A commit
 * has room for so many names, and a rename for those of two inodes.
 *
 * In a store it is one object, at the key of one of its names; every row says at which (`origin`). The other names are in the
 * namespace only: the store is not told of them, and what it lists under their keys is not theirs. When the name whose key it
 * has goes away, an intent moves the object to the key of another name. Special files (fifos, sockets, devices) are in the
 * namespace only, under all their names. A file that vanishes from its store vanishes under all its names.
 *
 * A tree that is removed at once takes its names off their inodes when its rows are reclaimed; until then they count.
 */
export const LINKS_MAX = 45;

/** The names of an inode besides this one. */
export function otherNames(inode: Inode, key: RowKey): readonly HardLink[] {
  return (inode.links ?? []).filter((link) => !isAt(link, key));
}

/** It has one object in a store, whatever its names are. */
export function isStored({ origin, inode }: Place): boolean {
  return origin !== undefined && !isSpecialKind(inode.kind);
}

export const putAt = (names: readonly HardLink[], before: Inode, row: Inode): Change[] =>
  names.map((key) => ({ act: 'put', key, when: asRead(before), row }));

/** The row at the other names once this one has gone. The last one is that of a plain file, unless its object may lie elsewhere. */
export function withoutName(context: Context, inode: Inode, key: RowKey): Inode {
  const { links: _, ...plain } = inode;
  const links = otherNames(inode, key);
  const isPlain = links.length === 1 && !inode.origin;
  return revised(isPlain ? plain : { ...plain, links }, { ctime: nanosOf(context.clock()) });
}

/**
 * Of inodes that have several names and an object in a store there are records, so that whoever moves or removes what a store
 * has below a key finds them. Each says one of the names.
 */
export function noted(inode: Inode): Change[] {
  const [first] = inode.links ?? [];
  if (!first || !inode.origin) return [];
  const row = { kind: 'record', version: 1, body: JSON.stringify(first) } as const;
  return [{ act: 'put', key: noteKey(inode, inode.origin.mount), when: 'any', row }];
}

/** The inode has gone, with all its names. */
export function notedNoMore(inode: Inode): Change[] {
  if (!inode.links || !inode.origin) return [];
  return [{ act: 'remove', key: noteKey(inode, inode.origin.mount), when: 'any' }];
}

const noteKey = ({ id }: Inode, mount: MountId): RowKey => ({ directory: LINKED, name: `${mount}.${id}` as Name });

export interface Noted {
  readonly key: RowKey;
  readonly inode: Inode;
}

/** Those with an object in the store of a mount. */
export async function* notedIn(context: Context, mount: MountId): AsyncGenerator<Noted> {
  const prefix = `${mount}.` as Name;
  for await (const { name, row } of allRows(context.metastore, LINKED, prefix)) {
    if (!name.startsWith(prefix)) return;
    if (row.kind !== 'record') continue;
    const key = JSON.parse(row.body) as RowKey;
    const inode = await inodeAt(context, key);
    if (inode && name === `${prefix}${inode.id}`) yield { key, inode };
  }
}

/** Takes a name off its inode, and with the last one the inode, as often as others get in between. */
export async function dropName(context: Context, key: RowKey, { id }: Inode): Promise<void> {
  for (;;) {
    const now = await inodeAt(context, key);
    if (now?.id !== id) return;
    const others = otherNames(now, key);
    const row = withoutName(context, now, key);
    const besides = others.length === 0 ? notedNoMore(now) : [...putAt(others, now, row), ...noted(row)];
    const gone: Change = { act: 'remove', key, when: asRead(now) };
    if ((await context.metastore.commit([gone, ...besides])).committed) return;
  }
}
