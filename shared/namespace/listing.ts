import { isFault } from '../model/faults.ts';
import type { Fingerprint, Inode, StoreKey } from '../model/inode.ts';
import { isUtf8, type Name, toText } from '../model/names.ts';
import { type Change, CHANGES_MAX } from '../ports/metastore.ts';
import type { StoreEntry } from '../ports/under-store.ts';
import {
  childKey,
  type Context,
  inodeAt,
  keyIn,
  type Listing,
  type MountedStore,
  nanosOf,
  type Place,
  putRow,
  retried,
  storeAt,
} from './context.ts';
import { inKeyOrder, type NamedRow, orderKey } from './key-order.ts';

/** Of a key that is an object and a prefix the directory keeps the name; the object is shown beside it. */
export const SHADOWED_SUFFIX = '.leat-object';
const ROWS_PAGE = 1000;

/** True when the row (or its absence) cannot answer a lookup by itself. */
export function isDueForLookup(context: Context, directory: Place, inode: Inode | undefined): boolean {
  if (!directory.origin || inode?.mount !== undefined) return false;
  const { mount } = storeAt(context, directory.origin);
  if (mount.syncIntervalMs === 0) return true;
  const { listedAt } = directory.inode;
  if (listedAt === undefined) return inode === undefined;
  if (mount.syncIntervalMs > 0 && context.clock() - listedAt > mount.syncIntervalMs) beginListing(context, directory);
  return false;
}

/**
 * Looks a name up in a directory whose listing cannot tell. The listing is begun; its first page answers when it is all there
 * is, otherwise one question about this key does, while the listing goes on behind.
 */
export async function findInStore(context: Context, directory: Place, name: Name): Promise<Inode | undefined> {
  if (directory.inode.listedAt === undefined) {
    const isWhole = await beginListing(context, directory).firstPage;
    const inode = await inodeAt(context, keyIn(directory, name));
    if (inode || isWhole) return inode;
  }
  return askStore(context, directory, name);
}

/** Brings one row in step with its store. */
export async function askStore(context: Context, directory: Place, name: Name): Promise<Inode | undefined> {
  if (!directory.origin) return undefined;
  const { store } = storeAt(context, directory.origin);
  const mounted = storeAt(context, directory.origin);
  return retried(context, directory.path, async () => {
    const before = await inodeAt(context, keyIn(directory, name));
    const key = before?.origin?.key ?? childKey(directory.origin?.key ?? ('' as StoreKey), name);
    if (context.intents.covers(mounted.mount.id, key) || before?.mount !== undefined) return { inode: before };
    const entry = isUtf8(key) ? await store.stat(key) : undefined;
    const change = changeFor(context, { directory, mounted, name, before, entry });
    if (!change) return { inode: before };
    const { committed } = await context.metastore.commit([change]);
    return committed ? { inode: await inodeAt(context, keyIn(directory, name)) } : undefined;
  }).then(({ inode }) => inode);
}

/** One listing at a time for a directory, whoever asks. Failures reach those who wait; the next one asks again. */
export function beginListing(context: Context, directory: Place): Listing {
  const running = context.listings.get(directory.inode.id);
  if (running) return running;
  const first = Promise.withResolvers<boolean>();
  const done = syncDirectory(context, directory, first.resolve).finally(() =>
    context.listings.delete(directory.inode.id),
  );
  done.catch((error: unknown) => {
    first.reject(error);
    context.log(`${toText(directory.path)}: listing failed: ${error instanceof Error ? error.message : String(error)}`);
  });
  first.promise.catch(() => undefined); // who awaits it sees it; nobody may
  const listing = { firstPage: first.promise, done };
  context.listings.set(directory.inode.id, listing);
  return listing;
}

/** Walks the store's entries and our rows side by side, a page of each at a time. Answers how many rows changed. */
async function syncDirectory(
  context: Context,
  directory: Place,
  onFirstPage: (isWhole: boolean) => void,
): Promise<number> {
  if (!directory.origin) return 0;
  const mounted = storeAt(context, directory.origin);
  const startedAt = context.clock();
  const batch = new Batch(context);
  const rows = inKeyOrder(rowsOf(context, directory));
  const merge = new Merge(context, { directory, mounted, batch });
  let row = await rows.next();
  let cursor: string | undefined;
  for (let page = 0; page === 0 || cursor !== undefined; page++) {
    const listed = await mounted.store.list(directory.origin.key, cursor);
    if (listed.unnameable > 0) {
      context.log(
        `${mounted.store.uri}/${toText(directory.origin.key)}: ${listed.unnameable} keys have no name a file could have, and are left out`,
      );
    }
    for (const entry of listed.entries) {
      const name = nameIn(entry.key);
      const order = orderKey(name, entry.kind === 'directory');
      for (; !row.done && orderOf(row.value) < order; row = await rows.next()) await merge.vanished(row.value);
      const isKnown = !row.done && orderOf(row.value) === order;
      await merge.present(name, entry, isKnown && !row.done ? row.value.inode : undefined);
      if (isKnown) row = await rows.next();
    }
    ({ cursor } = listed);
    await batch.flush();
    if (page === 0) {
      if (cursor === undefined) await finish();
      onFirstPage(cursor === undefined);
    }
  }
  if (directoryIsOpen()) await finish();
  return batch.changed;

  function directoryIsOpen(): boolean {
    return !merge.finished;
  }
  async function finish(): Promise<void> {
    for (; !row.done; row = await rows.next()) await merge.vanished(row.value);
    await batch.flush();
    merge.finished = true;
    await markListed(context, directory, startedAt);
  }
}

const orderOf = ({ name, inode }: NamedRow): string => orderKey(name, inode.kind === 'directory');
const nameIn = (key: StoreKey): Name => key.slice(key.lastIndexOf('/') + 1) as Name;

async function* rowsOf(context: Context, directory: Place): AsyncGenerator<NamedRow> {
  let after: Name | undefined;
  for (;;) {
    const page = await context.metastore.list(directory.inode.id, {
      ...(after !== undefined && { after }),
      limit: ROWS_PAGE,
    });
    for (const { name, row } of page) if (row.kind !== 'record') yield { name, inode: row };
    if (page.length < ROWS_PAGE) return;
    after = page.at(-1)?.name;
  }
}

interface MergeScope {
  readonly directory: Place;
  readonly mounted: MountedStore;
  readonly batch: Batch;
}

class Merge {
  readonly #context: Context;
  readonly #scope: MergeScope;
  /** Objects whose name may still turn out to be a prefix: each begins with the one before it, so they are few. */
  #candidates: { readonly name: Name; readonly entry: StoreEntry }[] = [];
  finished = false;

  constructor(context: Context, scope: MergeScope) {
    this.#context = context;
    this.#scope = scope;
  }

  async present(name: Name, entry: StoreEntry, known: Inode | undefined): Promise<void> {
    const { directory } = this.#scope;
    this.#candidates = this.#candidates.filter((each) => entry.key.startsWith(each.entry.key));
    if (entry.kind !== 'directory') {
      this.#candidates.push({ name, entry });
      const before = known ?? (await inodeAt(this.#context, keyIn(directory, name)));
      if (before?.kind === 'directory') return; // still a prefix, or `vanished` will find it gone and the next sync the file
      return this.#put(name, entry, before);
    }
    const shadowed = this.#candidates.find((each) => each.name === name);
    if (!shadowed) return this.#put(name, entry, known);
    await this.#scope.batch.flush();
    await this.#put(name, entry, await inodeAt(this.#context, keyIn(directory, name)));
    const beside = `${name}${SHADOWED_SUFFIX}` as Name;
    await this.#put(beside, shadowed.entry, await inodeAt(this.#context, keyIn(directory, beside)));
  }

  async vanished({ name, inode }: NamedRow): Promise<void> {
    const { directory, mounted } = this.#scope;
    const original = name.endsWith(SHADOWED_SUFFIX) ? name.slice(0, -SHADOWED_SUFFIX.length) : undefined;
    if (original !== undefined && this.#candidates.some((each) => each.name === original)) return;
    const key = inode.origin?.key ?? childKey(directory.origin?.key ?? ('' as StoreKey), name);
    if (inode.mount !== undefined || (inode.fingerprint === undefined && inode.kind !== 'directory')) return;
    if (inode.kind === 'directory' && inode.bornAt !== undefined && !mounted.store.supports.directories) return;
    if (this.#context.intents.covers(mounted.mount.id, key)) return;
    await this.#scope.batch.add({ act: 'remove', key: keyIn(directory, name), when: { version: inode.version } });
  }

  async #put(name: Name, entry: StoreEntry, before: Inode | undefined): Promise<void> {
    const { mounted, batch } = this.#scope;
    const key = before?.origin?.key ?? entry.key;
    if (
      this.#context.intents.covers(mounted.mount.id, key) ||
      this.#context.intents.covers(mounted.mount.id, entry.key)
    )
      return;
    const change = changeFor(this.#context, { ...this.#scope, name, before, entry });
    if (change) await batch.add(change);
  }
}

interface Comparison {
  readonly directory: Place;
  readonly mounted: MountedStore;
  readonly name: Name;
  readonly before: Inode | undefined;
  readonly entry: StoreEntry | undefined;
}

/** The change that makes a row say what the store says; undefined when it does already. */
function changeFor(context: Context, { directory, mounted, name, before, entry }: Comparison): Change | undefined {
  const key = keyIn(directory, name);
  if (!entry) {
    const isOurs = before?.mount !== undefined || (before?.kind === 'directory' && before.bornAt !== undefined);
    return before && !isOurs ? { act: 'remove', key, when: { version: before.version } } : undefined;
  }
  if (!before) return { act: 'put', key, when: 'absent', row: loadedRow(context, mounted, directory, name, entry) };
  if (before.kind !== entry.kind) {
    return {
      act: 'put',
      key,
      when: { version: before.version },
      row: { ...loadedRow(context, mounted, directory, name, entry), version: before.version + 1 },
    };
  }
  if (entry.kind === 'directory' || before.fingerprint === entry.fingerprint) return undefined;
  return putRow(key, before, {
    size: entry.size,
    generation: before.generation + 1,
    ...(entry.fingerprint !== undefined && { fingerprint: entry.fingerprint }),
    ...(entry.mtime !== undefined && { mtime: entry.mtime }),
    ...(entry.target !== undefined && { target: entry.target }),
    ctime: nanosOf(context.clock()),
  });
}

function loadedRow(context: Context, { mount }: MountedStore, directory: Place, name: Name, entry: StoreEntry): Inode {
  const isDirectory = entry.kind === 'directory';
  const defaultMode = isDirectory ? (mount.options['mode.directory'] ?? '755') : (mount.options['mode.file'] ?? '644');
  const mtime = entry.mtime ?? directory.inode.mtime;
  const isElsewhere = childKey(directory.origin?.key ?? ('' as StoreKey), name) !== entry.key;
  return {
    kind: entry.kind,
    id: context.newId(),
    mode: entry.mode ?? (entry.kind === 'symlink' ? 0o777 : Number.parseInt(defaultMode, 8)),
    uid: entry.uid ?? Number(mount.options['uid'] ?? directory.inode.uid),
    gid: entry.gid ?? Number(mount.options['gid'] ?? directory.inode.gid),
    size: isDirectory ? 0 : entry.size,
    atime: mtime,
    mtime,
    ctime: mtime,
    version: 1,
    generation: isDirectory ? 0 : 1,
    ...(entry.fingerprint !== undefined && { fingerprint: entry.fingerprint }),
    ...(entry.target !== undefined && { target: entry.target }),
    ...(isElsewhere && { origin: { mount: mount.id, key: entry.key } }),
  };
}

async function markListed(context: Context, directory: Place, at: number): Promise<void> {
  await retried(context, directory.path, async () => {
    const now = await inodeAt(context, directory.key);
    if (now?.id !== directory.inode.id) return true; // removed or renamed meanwhile: the next visitor lists again
    return (await context.metastore.commit([putRow(directory.key, now, { listedAt: at })])).committed || undefined;
  });
}

/** Changes of rows that have nothing to do with one another, as many to a commit as go. */
class Batch {
  readonly #context: Context;
  #changes: Change[] = [];
  changed = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  async add(change: Change): Promise<void> {
    this.#changes.push(change);
    if (this.#changes.length === CHANGES_MAX) await this.flush();
  }

  /** A row whose condition fails was changed by somebody who knows better; the next sync looks again. */
  async flush(): Promise<void> {
    while (this.#changes.length > 0) {
      const changes = this.#changes;
      const result = await this.#context.metastore.commit(changes);
      if (result.committed) {
        this.changed += changes.length;
        this.#changes = [];
      } else {
        const failed = new Set(result.failed);
        this.#changes = changes.filter((_, i) => !failed.has(i));
      }
    }
  }
}

/** Asks for a version of an object again after a read found another one. */
export async function fingerprintNow(mounted: MountedStore, key: StoreKey): Promise<Fingerprint | undefined> {
  return (await mounted.store.stat(key))?.fingerprint;
}

export const isGone = (error: unknown): boolean => isFault(error, 'notFound', 'changed');
