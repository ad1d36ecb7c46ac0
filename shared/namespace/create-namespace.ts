import { isFault } from '../model/faults.ts';
import { type InodeId, INTENTS, ROOT } from '../model/ids.ts';
import type { Inode, MountId } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import { demandAccess, demandWritable, WRITE } from './access.ts';
import { setAttributes } from './attributes.ts';
import { beginUpload, finishUpload, refresh, write } from './content.ts';
import { type Context, inodeAt, type NamespaceDeps, nanosOf, type Place } from './context.ts';
import { create, mkdir, mknod, symlink } from './create.ts';
import { keptFirstAt } from './directory-keys.ts';
import { DirectoryTimes } from './directory-times.ts';
import { Intents } from './intents.ts';
import { link } from './link.ts';
import { list, sync } from './list.ts';
import { beginLocks, lock } from './locks.ts';
import { loadMounts, refreshMounts } from './mount-table.ts';
import { MountLeases } from './mount-leases.ts';
import { mount, mountsOf, unmount } from './mounts.ts';
import type { Actor, Namespace } from './namespace.ts';
import { notice } from './notices.ts';
import { Quotas, roomAt } from './quotas.ts';
import { remove, removeTree } from './remove.ts';
import { rename } from './rename.ts';
import { runReclaimer } from './reclaimer.ts';
import { resolveOne } from './resolve.ts';
import { ROOT_KEY } from './rows-ahead.ts';
import { quotasBelow, removeQuota, setQuota } from './set-quota.ts';
import { reclaim } from './trash.ts';
import { UsageRecords } from './usage-records.ts';
import { type UsageCount, UsageTree } from './usage-tree.ts';
import { abandon, find, written } from './written.ts';
import { removeXattr, setXattr } from './xattrs.ts';

const ROOT_MODE = 0o755;
const STARTS_MAX = 3;
const OWED_COUNTED_MAX = 1000;

/** A namespace that works for its stores until it is closed. */
export interface RunningNamespace extends Namespace {
  /**
   * Ends what goes on behind, and leaves the stores to others that share the rows: for a process that may be stopped, or frozen,
   * until it is asked again.
   */
  rest(): Promise<void>;
  /**
   * Does once what a namespace with rows of its own does all the time: takes away what is in the trash, gives the stores what
   * they are owed. Begins nothing more when told to stop. Answers how many rows were taken away.
   */
  catchUp(isStopped: () => boolean): Promise<number>;
  /** Counts the tree of a quota anew. */
  count(directory: InodeId): Promise<void>;
  /** A store tells that what it calls so (`s3://bucket/key`) has changed. Answers how many mounts show it. */
  notice(uri: string): Promise<number>;
  close(): Promise<void>;
}

export async function createNamespace(deps: NamespaceDeps): Promise<RunningNamespace> {
  const leases = new MountLeases();
  const context: Context = {
    random: Math.random,
    ...deps,
    mounted: new Map(),
    intents: new Intents(deps, leases),
    leases,
    name: deps.newToken(),
    times: new DirectoryTimes(),
    quotas: new Quotas(usageCount(deps)),
    listings: new Map(),
    listingPauses: new Map(),
  };
  await makeRoot(context);
  await loadMounts(context);
  await context.intents.start(context);
  await context.quotas.usage.start();
  const reclaimer = deps.isShared ? undefined : runReclaimer(context);
  return {
    async stat(actor, path, options) {
      const place = await patient(context, () => resolveOne(context, actor, path, options));
      if (options?.toWrite) demandWrite(context, actor, place);
      const { inode, path: found, origin } = place;
      return { inode, path: found, ...(origin && { origin }) };
    },
    list: (actor, path, page) => patient(context, () => list(context, actor, path, page)),
    mkdir: (actor, path, { mode, umask = 0, parents = false }) =>
      patient(context, () => mkdir(context, actor, path, { mode, umask, parents })),
    create: (actor, path, options) => patient(context, () => create(context, actor, path, options)),
    symlink: (actor, path, target) => patient(context, () => symlink(context, actor, path, target)),
    mknod: (actor, path, options) => patient(context, () => mknod(context, actor, path, options)),
    link: (actor, from, to) => patient(context, () => link(context, actor, from, to)),
    rename: (actor, from, to, options) => patient(context, () => rename(context, actor, from, to, options)),
    remove: (actor, path, kind, expect) => patient(context, () => remove(context, actor, path, { kind, ...expect })),
    async removeTree(actor, path, expect) {
      await patient(context, () => removeTree(context, actor, path, expect));
      reclaimer?.wake();
    },
    setAttributes: (actor, path, patch, expect) =>
      patient(context, () => setAttributes(context, actor, path, { ...patch, ...(expect && { expect }) })),
    setXattr: (actor, path, name, value, mode) =>
      patient(context, () => setXattr(context, actor, path, { name, value, mode })),
    removeXattr: (actor, path, name) => patient(context, () => removeXattr(context, actor, path, name)),
    write: (actor, path, body, options) =>
      leases.holding(context, () => write(context, actor, path, { ...options, body })),
    beginUpload: (actor, path, file) => patient(context, () => beginUpload(context, actor, path, file)),
    finishUpload: (actor, path, upload, entry) =>
      patient(context, () => finishUpload(context, actor, path, { upload, entry })),
    find: (at) => patient(context, () => find(context, at)),
    written: (actor, at, content) => patient(context, () => written(context, actor, at, content)),
    abandon: (actor, at) => patient(context, () => abandon(context, actor, at)),
    refresh: (path, known) => patient(context, () => refresh(context, path, known)),
    sync: (actor, path, options) => patient(context, () => sync(context, actor, path, options?.recursive ?? false)),
    mount: (actor, wanted) => leases.holding(context, () => mount(context, actor, wanted)),
    async unmount(actor, path) {
      await leases.holding(context, () => unmount(context, actor, path));
      reclaimer?.wake();
    },
    async mounts() {
      await refreshMounts(context);
      return mountsOf(context);
    },
    lock: (actor, file, wish, options) => lock(context, actor, { file, wish, ...options }),
    beginLocks: (_, session) => beginLocks(context, session),
    setQuota: (actor, path, limits) => patient(context, () => setQuota(context, actor, path, limits)),
    removeQuota: (actor, path) => patient(context, () => removeQuota(context, actor, path)),
    quotas: (actor, path) => patient(context, () => quotasBelow(context, actor, path)),
    room: (actor, path) => patient(context, () => roomAt(context, actor, path)),
    owed: async () => ({ pending: await pendingOf(context), failed: context.intents.failed }),
    rest: () => leases.end(context),
    async catchUp(isStopped) {
      await oweNothing(context, isStopped);
      return reclaim(context, isStopped);
    },
    count: (directory) => context.quotas.usage.count(directory),
    notice: (uri) => notice(context, uri),
    async close() {
      await Promise.all([reclaimer?.stop(), context.intents.stop(), context.times.stop(), context.quotas.usage.stop()]);
      await Promise.allSettled([...context.listings.values()].map((listing) => listing.done));
      await leases.end(context);
      for (const { store } of context.mounted.values()) await store.close();
    },
  };
}

function demandWrite(context: Context, actor: Actor, place: Place): void {
  demandWritable(context, place);
  demandAccess(actor, place, WRITE);
}

function usageCount({ isShared, feed, ...deps }: NamespaceDeps): UsageCount {
  return feed && !isShared ? new UsageTree({ ...deps, feed }) : new UsageRecords(deps);
}

/** What others owe counts too. */
async function pendingOf({ intents, isShared, metastore }: Context): Promise<number> {
  if (!isShared) return intents.pending;
  return (await metastore.list(INTENTS, { limit: OWED_COUNTED_MAX })).length;
}

/** One mount after another, as far as their stores answer. */
async function oweNothing(context: Context, isStopped: () => boolean): Promise<void> {
  await refreshMounts(context);
  for (const mount of context.mounted.keys()) {
    if (isStopped() || !(await isOwed(context, mount))) continue;
    await context.leases.hold(context, mount);
    await context.leases.end(context);
  }
}

async function isOwed({ metastore }: Context, mount: MountId): Promise<boolean> {
  const [first] = await metastore.list(INTENTS, { after: `${mount}.` as Name, limit: 1 });
  return first?.name.startsWith(`${mount}.`) ?? false;
}

/** What found its path moved away under it starts again from the root. */
async function patient<Result>(context: Context, act: () => Promise<Result>): Promise<Result> {
  for (let i = 1; ; i++) {
    try {
      return await context.leases.holding(context, act);
    } catch (error) {
      if (i === STARTS_MAX || !isFault(error, 'contended')) throw error;
    }
  }
}

/** Once; of several that start together one makes it and the others find it. */
async function makeRoot(context: Context): Promise<void> {
  if (await inodeAt(context, ROOT_KEY)) return;
  const time = nanosOf(context.clock());
  const row: Inode = {
    kind: 'directory',
    id: ROOT,
    mode: ROOT_MODE,
    uid: context.owner.uid,
    gid: context.owner.gid,
    size: 0,
    atime: time,
    mtime: time,
    ctime: time,
    version: 1,
    generation: 0,
  };
  await context.metastore.commit([
    { act: 'put', key: ROOT_KEY, when: 'absent', row },
    keptFirstAt(ROOT, { key: ROOT_KEY }),
  ]);
}
