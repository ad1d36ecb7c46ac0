import { LeatError, toLeatError } from '../model/faults.ts';
import { childKey } from '../model/inode.ts';
import { toText } from '../model/names.ts';
import { type Context, inodeAt, keyIn, type Place, putRow, type RunningListing, retried } from './context.ts';
import { allRows } from './all-rows.ts';
import { opened } from './closing.ts';
import type { NamedRow } from './key-order.ts';
import { type Finding, Merge } from './merge.ts';
import { found } from './directory-keys.ts';
import { RowBatch } from './row-batch.ts';
import { isDisturbed, isUnsettled, observed, rowChanges, type StoreDirectory, toTrash } from './store-rows.ts';

const PAUSE_MS = 2000;
const PAUSES_MAX = 10_000;

/** One listing at a time for a directory, whoever asks. Failures reach those who wait; the next one asks again. */
export function beginListing(context: Context, place: Place): RunningListing {
  const { id } = place.inode;
  const running = context.listings.get(id);
  if (running) return running;
  if (!place.origin) throw new LeatError('invalid', `${toText(place.path)}: has no store behind it to list`);
  const first = Promise.withResolvers<boolean>();
  const done = syncPlace(context, place, first.resolve).finally(() => context.listings.delete(id));
  done.catch((error: unknown) => first.reject(error));
  first.promise.catch(() => undefined); // who awaits it sees it; nobody may
  const listing = { mount: place.origin.mount, firstPage: first.promise, done };
  context.listings.set(id, listing);
  return listing;
}

/** A listing that began after the call: one that is under way may have seen the store as it was before. */
export async function listAfresh(context: Context, place: Place): Promise<number> {
  await context.listings.get(place.inode.id)?.done.catch(() => undefined);
  return beginListing(context, place).done;
}

/** A listing that nobody waits for. After a failure it rests, so that an outage is not asked about by every reader. */
export function listBehind(context: Context, place: Place): void {
  const { listings, listingPauses, listElsewhere } = context;
  const { id } = place.inode;
  if (listings.has(id) || (listingPauses.get(id) ?? 0) > context.clock()) return;
  listingPauses.delete(id);
  if (listElsewhere) {
    pause(context, place);
    listElsewhere(place.path);
    return;
  }
  const listing = context.leases.holding(context, () => beginListing(context, place).done);
  listing.catch((error: unknown) => {
    context.log(`${toText(place.path)}: could not be brought in step with its store: ${toLeatError(error).message}`);
    pause(context, place);
  });
}

function pause({ listingPauses, clock }: Context, { inode }: Place): void {
  if (listingPauses.size >= PAUSES_MAX) listingPauses.clear();
  listingPauses.set(inode.id, clock() + PAUSE_MS);
}

async function syncPlace(context: Context, place: Place, onFirstPage: (isWhole: boolean) => void): Promise<number> {
  const directory = await observed(context, place);
  if (!directory) throw disturbed(place);
  try {
    return await syncDirectory(context, directory, onFirstPage);
  } finally {
    directory.observation.end();
  }
}

/** A page of each side at a time; the rows that differ are rewritten, and at the end the directory is marked as listed. */
async function syncDirectory(
  context: Context,
  directory: StoreDirectory,
  onFirstPage: (isWhole: boolean) => void,
): Promise<number> {
  const { place, mounted, origin } = directory;
  const startedAt = context.clock();
  const batch = new RowBatch(context.metastore);
  const merge = new Merge(rowsOf(context, place));
  let cursor: string | undefined;
  for (let page = 0; page === 0 || cursor !== undefined; page++) {
    demandUndisturbed(context, directory);
    const listed = await mounted.store.list(origin.key, cursor);
    ({ cursor } = listed);
    demandUndisturbed(context, directory);
    if (listed.unnameable > 0) {
      const what = `${listed.unnameable} keys have no name that a file could have, and are left out`;
      context.log(`${toText(place.path)} (${mounted.store.uri}): ${what}`);
    }
    for await (const finding of merge.page(listed.entries)) await apply(context, { directory, batch, finding });
    if (cursor === undefined) {
      for await (const finding of merge.end()) await apply(context, { directory, batch, finding });
    }
    await batch.flush();
    await demandStillThere(context, place);
    demandUndisturbed(context, directory);
    if (cursor === undefined) await markListed(context, place, startedAt);
    if (page === 0) onFirstPage(cursor === undefined);
  }
  return batch.changed;
}

function demandUndisturbed(context: Context, directory: StoreDirectory): void {
  const isMounted = context.mounted.has(directory.origin.mount);
  if (!isMounted || isDisturbed(context, directory)) throw disturbed(directory.place);
}

function disturbed({ path }: Place): LeatError {
  return new LeatError('changed', `${toText(path)}: was moved or removed while it was being listed; list it again`);
}

interface Application {
  readonly directory: StoreDirectory;
  readonly batch: RowBatch;
  readonly finding: Finding;
}

async function apply(context: Context, { directory, batch, finding }: Application): Promise<void> {
  const { name, entry } = finding;
  const key = keyIn(directory.place, name);
  if (!finding.row && batch.has(key)) await batch.flush();
  const before = finding.row ?? (await inodeAt(context, key));
  // A row of a directory may be right yet, though the name is an object's too: its own turn comes.
  if (!finding.row && before?.kind === 'directory' && entry && entry.kind !== 'directory') return;
  const here = entry?.key ?? childKey(directory.origin.key, name);
  // What has several names is compared under that one whose key its object has.
  const isOthers = before?.origin && (entry || before.links) && before.origin.key !== here;
  if (before?.mount !== undefined || isOthers || isUnsettled(context, directory, name, before)) return;
  await batch.add(await rowChanges(context, directory, { name, before, entry }));
}

/** Rows that came into a directory while it was removed are reachable by nobody: the reclaimer gets them. */
async function demandStillThere(context: Context, place: Place): Promise<void> {
  if (await found(context, place, (key) => inodeAt(context, key))) return;
  await context.metastore.commit(toTrash(context, place.inode));
  throw disturbed(place);
}

async function* rowsOf({ metastore }: Context, { inode }: Place): AsyncGenerator<NamedRow> {
  for await (const { name, row } of allRows(metastore, inode.id)) if (row.kind !== 'record') yield { name, inode: row };
}

async function markListed(context: Context, place: Place, at: number): Promise<void> {
  await retried(context, place.path, async () => {
    // A mark of a remover stays as it is, or its removal would fail and everybody wait for the end of its lease.
    const now = await opened(context, place.key, place.inode);
    if (!now) return true; // removed or renamed meanwhile: the next visitor lists again
    return (await context.metastore.commit([putRow(place.key, now, { listedAt: at })])).committed || undefined;
  });
}
