import { isFault, LeatError } from '../model/faults.ts';
import { joinPath, type Name, type Path, toText } from '../model/names.ts';
import { demandAccess, READ, SELF } from './access.ts';
import { allRows } from './all-rows.ts';
import { confirmed } from './closing.ts';
import { type Context, isYoung, mountedAt, type Place } from './context.ts';
import { beginListing, listAfresh, listBehind } from './listing.ts';
import type { Actor, Listing } from './namespace.ts';
import { demandDirectory, resolveOne } from './resolve.ts';

const LIST_MAX = 10_000;
const MOVED_RETRIES_MAX = 10;
const RETRY_MS = 2;

export interface ListPage {
  readonly after?: Name;
  readonly limit: number;
}

export async function list(context: Context, actor: Actor, path: Path, { after, limit }: ListPage): Promise<Listing> {
  const directory = await readable(context, actor, path);
  // Later pages are of what the first has loaded.
  if (after === undefined) await load(context, directory);
  const wanted = Math.min(limit, LIST_MAX);
  const page = { ...(after !== undefined && { after }), limit: wanted };
  const rows = await context.metastore.list(directory.inode.id, page);
  // A row that its creator may take back is shown only when the directory stays.
  if (rows.some(({ row }) => isYoung(context, row)) && !(await confirmed(context, directory))) throw gone(path);
  const entries = rows.flatMap(({ name, row }) => (row.kind === 'record' ? [] : [{ name, inode: row }]));
  const next = rows.length === wanted ? rows.at(-1)?.name : undefined;
  return { entries, ...(next !== undefined && { next }) };
}

const gone = (path: Path) => new LeatError('notFound', `${toText(path)}: was removed while it was listed`);

async function readable(context: Context, actor: Actor, path: Path): Promise<Place> {
  const directory = await resolveOne(context, actor, path, { follow: true });
  demandDirectory(directory);
  demandAccess(actor, directory, READ);
  return directory;
}

/** Before the rows of a directory are looked at: they are brought from its store, or as far in step as the mount wants it. */
export async function load(context: Context, directory: Place): Promise<void> {
  if (!directory.origin) return;
  const { syncIntervalMs } = mountedAt(context, directory.origin.mount).mount;
  const { listedAt } = directory.inode;
  if (listedAt === undefined || syncIntervalMs === 0) {
    await listWhole(context, directory, { isKnown: listedAt !== undefined, isAfresh: syncIntervalMs === 0 });
  } else if (syncIntervalMs > 0 && context.clock() - listedAt > syncIntervalMs) listBehind(context, directory);
}

interface Listed {
  /** The rows that are there will do when the store does not answer. */
  readonly isKnown: boolean;
  readonly isAfresh: boolean;
}

async function listWhole(context: Context, directory: Place, { isKnown, isAfresh }: Listed): Promise<number> {
  for (let place = directory, i = 0; ; i++) {
    try {
      return await (isAfresh ? listAfresh(context, place) : beginListing(context, place).done);
    } catch (error) {
      if (isKnown && isFault(error, 'unavailable', 'changed')) return 0;
      if (!isFault(error, 'changed') || i === MOVED_RETRIES_MAX) throw error;
      // Made anew where something has yet to be removed: the rows are the truth until then.
      const { origin, inode } = place;
      if (origin && inode.listedAt !== undefined && context.intents.keys.isBeingDisplaced(origin)) return 0;
      await context.sleep(context.random() * RETRY_MS * 2 ** i);
      place = await resolveOne(context, SELF, directory.path);
      demandDirectory(place);
    }
  }
}

/** Brings a directory in step with its store. What is removed by others while we walk needs no step any more. */
export async function sync(context: Context, actor: Actor, path: Path, isRecursive: boolean): Promise<number> {
  const directory = await readable(context, actor, path);
  let changed = directory.origin ? await listWhole(context, directory, { isKnown: false, isAfresh: true }) : 0;
  if (!isRecursive) return changed;
  for await (const { name, row } of allRows(context.metastore, directory.inode.id)) {
    if (row.kind === 'directory') changed += await syncBelow(context, actor, joinPath(directory.path, name));
  }
  return changed;
}

async function syncBelow(context: Context, actor: Actor, path: Path): Promise<number> {
  try {
    return await sync(context, actor, path, true);
  } catch (error) {
    if (isFault(error, 'notFound', 'notDirectory')) return 0;
    throw error;
  }
}
