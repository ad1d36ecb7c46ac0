import { isFault, LeatError } from '../model/faults.ts';
import { childKey, type Inode } from '../model/inode.ts';
import { type Name, toText } from '../model/names.ts';
import type { StoreEntry } from '../ports/under-store.ts';
import { atAllNames } from './all-names.ts';
import { type Context, inodeAt, keyIn, mountedAt, type Place, retried } from './context.ts';
import { beginListing, listBehind } from './listing.ts';
import { isDisturbed, isUnsettled, observed, rowChanges, type StoreDirectory } from './store-rows.ts';

/** True when a row (or its absence) cannot answer a lookup by itself. A listing that is due begins behind the lookup. */
export function isDueForLookup(context: Context, directory: Place, inode: Inode | undefined): boolean {
  if (!directory.origin || inode?.mount !== undefined) return false;
  const { syncIntervalMs } = mountedAt(context, directory.origin.mount).mount;
  if (syncIntervalMs === 0) return true;
  const { listedAt } = directory.inode;
  if (listedAt === undefined) return inode === undefined;
  if (syncIntervalMs > 0 && context.clock() - listedAt > syncIntervalMs) listBehind(context, directory);
  return false;
}

/**
 * Looks a name up in a directory whose listing cannot tell. The listing is begun; its first page answers when it is all there
 * is, otherwise one question about this key does, while the listing goes on behind. A mount whose store is asked by every
 * access needs no listing for it.
 */
export async function findInStore(context: Context, directory: Place, name: Name): Promise<Inode | undefined> {
  const isAsked = directory.origin && mountedAt(context, directory.origin.mount).mount.syncIntervalMs === 0;
  if (directory.inode.listedAt === undefined && !isAsked) {
    const isWhole = await beginListing(context, directory).firstPage.catch((error: unknown) => {
      if (isFault(error, 'changed')) return false; // moved meanwhile; the one question finds out
      throw error;
    });
    const inode = await inodeAt(context, keyIn(directory, name));
    if (inode || isWhole) return inode;
  }
  return askStore(context, directory, name);
}

/** Brings one row in step with its store. While the store does not answer, what is known stays. */
export async function askStore(context: Context, place: Place, name: Name): Promise<Inode | undefined> {
  if (!place.origin) return undefined;
  const { inode } = await retried(context, place.path, async () => {
    const directory = await observed(context, place);
    if (!directory) return { inode: await knownRow(context, place, name) };
    try {
      return await compare(context, directory, name);
    } finally {
      directory.observation.end();
    }
  });
  return inode;
}

/** The path leads elsewhere by now, and what the store has at the old one is nobody's: rows may tell, else it starts again. */
async function knownRow(context: Context, place: Place, name: Name): Promise<Inode | undefined> {
  const inode = await inodeAt(context, keyIn(place, name));
  if (inode || place.inode.listedAt !== undefined) return inode;
  throw new LeatError('contended', `${toText(place.path)}: was moved meanwhile; look again`);
}

/** Undefined: what the store said may be of the past already. */
async function compare(
  context: Context,
  directory: StoreDirectory,
  name: Name,
): Promise<{ readonly inode: Inode | undefined } | undefined> {
  const key = keyIn(directory.place, name);
  const before = await inodeAt(context, key);
  if (before?.mount !== undefined || isUnsettled(context, directory, name, before)) return { inode: before };
  // The rows are the truth meanwhile, where they are all there is.
  const isListed = directory.place.inode.listedAt !== undefined;
  if (isDisturbed(context, directory)) return before || isListed ? { inode: before } : undefined;
  try {
    const entry = await entryOf(directory, name, before);
    if (isDisturbed(context, directory) || isUnsettled(context, directory, name, before)) return undefined;
    const changes = await rowChanges(context, directory, { name, before, entry });
    if (changes.length === 0) return { inode: before };
    const { committed } = await context.metastore.commit(atAllNames(changes));
    return committed ? { inode: await inodeAt(context, key) } : undefined;
  } catch (error) {
    if (before && isFault(error, 'unavailable')) return { inode: before };
    throw error;
  }
}

async function entryOf(
  { mounted, origin }: StoreDirectory,
  name: Name,
  before: Inode | undefined,
): Promise<StoreEntry | undefined> {
  const key = before?.origin?.key ?? childKey(origin.key, name);
  const entry = await mounted.store.stat(key);
  if (before?.kind !== 'directory' || !entry || entry.kind === 'directory') return entry;
  // The object's name may be a prefix too, and then the directory keeps it.
  const { entries } = await mounted.store.list(key);
  return entries.length > 0 ? { key, kind: 'directory', size: 0 } : entry;
}
