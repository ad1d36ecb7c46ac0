import { ABOVE_ROOT, ROOT } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import type { Name, Path } from '../model/names.ts';
import { demandAccess, READ } from './access.ts';
import { removeXattr, setAttributes, setXattr } from './attributes.ts';
import { refresh, write } from './content.ts';
import { type Context, type NamespaceDeps, nanosOf, storeAt } from './context.ts';
import { create, mkdir, symlink } from './create.ts';
import { createIntents } from './intents.ts';
import { beginListing } from './listing.ts';
import { loadMounts, mount, mountsOf, unmount } from './mounts.ts';
import type { Actor, Listing, Namespace } from './namespace.ts';
import { remove, removeTree } from './remove.ts';
import { rename } from './rename.ts';
import { demandDirectory, placeOf, resolveOne } from './resolve.ts';
import { reclaim } from './trash.ts';

const ROOT_MODE = 0o755;
const LIST_MAX = 10_000;
const RECLAIM_PAUSE_MS = 5000;

/** A namespace that works for its stores until it is closed. */
export interface RunningNamespace extends Namespace {
  close(): Promise<void>;
}

export async function createNamespace(deps: NamespaceDeps): Promise<RunningNamespace> {
  const context: Context = {
    ...deps,
    mounted: new Map(),
    intents: createIntents(deps),
    listings: new Map(),
    movedTo: new Map(),
  };
  await makeRoot(context);
  await loadMounts(context);
  await context.intents.start(context);
  const reclaimer = runReclaimer(context);
  return {
    async stat(actor, path, options) {
      const { inode, path: found, origin } = await resolveOne(context, actor, path, options);
      return { inode, path: found, ...(origin && { origin }) };
    },
    list: (actor, path, page) => list(context, actor, path, page),
    mkdir: (actor, path, options) => mkdir(context, actor, path, options),
    create: (actor, path, options) => create(context, actor, path, options),
    symlink: (actor, path, target) => symlink(context, actor, path, target),
    rename: (actor, from, to, options) => rename(context, actor, from, to, options),
    remove: (actor, path, kind, expect) => remove(context, actor, path, { kind, ...expect }),
    async removeTree(actor, path) {
      await removeTree(context, actor, path);
      reclaimer.wake();
    },
    setAttributes: (actor, path, patch, expect) =>
      setAttributes(context, actor, path, { ...patch, ...(expect && { expect }) }),
    setXattr: (actor, path, name, value, mode) => setXattr(context, actor, path, { name, value, mode }),
    removeXattr: (actor, path, name) => removeXattr(context, actor, path, name),
    write: (actor, path, body, options) => write(context, actor, path, { ...options, body }),
    refresh: (path, known) => refresh(context, path, known),
    sync: (actor, path, options) => sync(context, actor, path, options?.recursive ?? false),
    mount: (actor, wanted) => mount(context, actor, wanted),
    async unmount(actor, path) {
      await unmount(context, actor, path);
      reclaimer.wake();
    },
    mounts: async () => mountsOf(context),
    owed: async () => ({ pending: context.intents.pending, failed: context.intents.failed }),
    async close() {
      await reclaimer.stop();
      await context.intents.stop();
      await Promise.allSettled([...context.listings.values()].map((listing) => listing.done));
      for (const { store } of context.mounted.values()) await store.close();
    },
  };
}

/** Once; of several that start together one makes it and the others find it. */
async function makeRoot(context: Context): Promise<void> {
  const now = context.clock();
  const time = nanosOf(now);
  const row: Inode = {
    kind: 'directory',
    id: ROOT,
    mode: ROOT_MODE,
    uid: 0,
    gid: 0,
    size: 0,
    atime: time,
    mtime: time,
    ctime: time,
    version: 1,
    generation: 0,
  };
  await context.metastore.commit([
    { act: 'put', key: { directory: ABOVE_ROOT, name: '' as Name }, when: 'absent', row },
  ]);
}

async function list(
  context: Context,
  actor: Actor,
  path: Path,
  { after, limit }: { readonly after?: Name; readonly limit: number },
): Promise<Listing> {
  const directory = await resolveOne(context, actor, path, { follow: true });
  demandDirectory(directory);
  demandAccess(actor, directory, READ);
  const isFirstPage = after === undefined;
  if (directory.origin && isFirstPage) {
    const { syncIntervalMs } = storeAt(context, directory.origin).mount;
    const { listedAt } = directory.inode;
    const isStale = syncIntervalMs > 0 && listedAt !== undefined && context.clock() - listedAt > syncIntervalMs;
    if (listedAt === undefined || syncIntervalMs === 0) await beginListing(context, directory).done;
    else if (isStale) beginListing(context, directory);
  }
  const wanted = Math.min(limit, LIST_MAX);
  const rows = await context.metastore.list(directory.inode.id, {
    ...(after !== undefined && { after }),
    limit: wanted,
  });
  const entries = rows.flatMap(({ name, row }) => (row.kind === 'record' ? [] : [{ name, inode: row }]));
  const next = rows.length === wanted ? rows.at(-1)?.name : undefined;
  return { entries, ...(next !== undefined && { next }) };
}

async function sync(context: Context, actor: Actor, path: Path, isRecursive: boolean): Promise<number> {
  const directory = await resolveOne(context, actor, path, { follow: true });
  demandDirectory(directory);
  let changed = directory.origin ? await beginListing(context, directory).done : 0;
  if (!isRecursive) return changed;
  for (let after: Name | undefined; ;) {
    const page = await list(context, actor, path, { ...(after !== undefined && { after }), limit: LIST_MAX });
    for (const { name, inode } of page.entries) {
      if (inode.kind === 'directory') changed += await sync(context, actor, placeOf(directory, name, inode).path, true);
    }
    if (page.next === undefined) return changed;
    after = page.next;
  }
}

function runReclaimer(context: Context): { wake(): void; stop(): Promise<void> } {
  let isStopped = false;
  let wake = () => {};
  const run = (async () => {
    while (!isStopped) {
      await reclaim(context, () => isStopped).catch((error: unknown) =>
        context.log(`reclaiming removed trees failed: ${String(error)}`),
      );
      if (isStopped) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        void context.sleep(RECLAIM_PAUSE_MS).then(resolve);
      });
    }
  })();
  return {
    wake: () => wake(),
    async stop() {
      isStopped = true;
      wake();
      await run;
    },
  };
}
