import { type InodeId, PLACES } from '../model/ids.ts';
import type { Inode, RecordRow } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import type { Change, Metastore, RowKey } from '../ports/metastore.ts';
import type { Context, Place } from './context.ts';

/**
 * Where the row of each directory is kept, by its id: a record beside the rows, changed in the same commits. Whoever holds a
 * directory's old key can tell a renamed one from a removed one (what is put into a removed one is taken back), and the way
 * from an id to a path leads over it. While its record is there, an id is not given to another directory.
 */
interface KeptAt {
  readonly key: RowKey;
  /** The request that made the directory, so that a repeated one knows its own. */
  readonly by?: string;
}

interface Located {
  /** Removed with all that was in it, and not reclaimed yet. */
  readonly isInTrash: boolean;
  /** Undefined: the directory has been removed. */
  readonly keptAt: KeptAt | undefined;
  readonly version: number;
}

/** Longer than anybody may still be busy with a directory that has been removed. */
const REMOVED_LIFE_MS = 7 * 24 * 3600 * 1000;

const recordKey = (id: InodeId): RowKey => ({ directory: PLACES, name: id as string as Name });

/** A new directory gets its record with its row. Fails when the id has been used before. */
export function keptFirstAt(id: InodeId, { key, by }: KeptAt): Change {
  return { act: 'put', key: recordKey(id), when: 'absent', row: recordOf({ key, ...(by !== undefined && { by }) }, 1) };
}

/** `version` is that of the moved row: a later move has a greater one. */
export function keptFromNowAt(id: InodeId, key: RowKey, version: number): Change {
  return { act: 'put', key: recordKey(id), when: 'any', row: recordOf({ key }, version) };
}

/** Its rows may still be there, so its id stays taken until they have been reclaimed. */
export function keptNoMore({ id, version }: Inode): Change {
  return { act: 'put', key: recordKey(id), when: 'any', row: recordOf(undefined, version + 1) };
}

/** Nothing hangs on the id any more: where ids can come again, this one does so when everybody has forgotten it. */
export function forgotten({ clock, directoryIdOf }: Context, { id, version }: Pick<Inode, 'id' | 'version'>): Change {
  const key = recordKey(id);
  if (!directoryIdOf) return { act: 'remove', key, when: 'any' };
  const row = { ...recordOf(undefined, version + 1), expiresAt: clock() + REMOVED_LIFE_MS };
  return { act: 'put', key, when: 'any', row };
}

/**
 * The id of a directory that is about to be made: the one that can be foretold from its place, unless that has been used. The
 * record that is committed with the row fails when another was quicker. Also when the record has ended, what a creator that
 * died has left below the id must not come to light again.
 */
export async function newDirectoryId({ metastore, directoryIdOf, newId }: Context, key: RowKey): Promise<InodeId> {
  const foretold = directoryIdOf?.(key);
  if (foretold === undefined) return newId();
  const [location, rows] = await Promise.all([locationOf(metastore, foretold), metastore.list(foretold, { limit: 1 })]);
  return location || rows.length > 0 ? newId() : foretold;
}

/** Undefined: nobody has had this id, or it has been forgotten. */
export async function locationOf(metastore: Metastore, id: InodeId): Promise<Located | undefined> {
  const [record] = await metastore.get([recordKey(id)]);
  if (record?.kind !== 'record') return undefined;
  const { directory, name, by } = JSON.parse(record.body) as Partial<RowKey> & { readonly by?: string };
  const isKept = directory !== undefined && name !== undefined;
  const keptAt = isKept ? { key: { directory, name }, ...(by !== undefined && { by }) } : undefined;
  return { keptAt, version: record.version, isInTrash: !isKept && record.expiresAt === undefined };
}

function recordOf(keptAt: KeptAt | undefined, version: number): RecordRow {
  return { kind: 'record', version, body: JSON.stringify(keptAt ? { ...keptAt.key, by: keptAt.by } : {}) };
}

export interface KeptDirectory {
  readonly key: RowKey;
  readonly inode: Inode;
}

type Look = (key: RowKey) => Promise<Inode | undefined>;

/** Looks for a directory by the key where it was seen, and then where it was renamed to. Undefined: it has been removed. */
export function found(
  { metastore }: Context,
  { key, inode: { id } }: Pick<Place, 'key' | 'inode'>,
  look: Look,
): Promise<KeptDirectory | undefined> {
  return foundById(metastore, id, { look, from: key });
}

/** The same, of which nothing but its id may be known. */
export async function foundById(
  metastore: Metastore,
  id: InodeId,
  { look, from }: { readonly look: Look; readonly from?: RowKey | undefined },
): Promise<KeptDirectory | undefined> {
  let seen: number | undefined;
  for (let at = from; ;) {
    const inode = at && (await look(at));
    if (at && inode?.id === id) return { key: at, inode };
    const location = await locationOf(metastore, id);
    // Not there, and not moved since we were told where it is.
    if (!location?.keptAt || location.version === seen) return undefined;
    seen = location.version;
    at = location.keptAt.key;
  }
}
