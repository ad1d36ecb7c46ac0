import { closeSync, writeSync } from 'node:fs';
import module from 'node:module';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { InodeId } from '#shared/model/ids.ts';
import { ROOT_PATH } from '#shared/model/names.ts';
import { encodeRow } from '#shared/model/row-codec.ts';
import { SELF } from '#shared/namespace/access.ts';
import type { LockSession, Mount } from '#shared/namespace/namespace.ts';
import type { ChangeFeed } from '#shared/ports/change-feed.ts';
import type { CacheUser } from '../cache/data-cache.ts';
import type { HotTier } from '../joined/hot-tier.ts';
import { Counters } from './counters.ts';
import type { Keeper } from './keeper.ts';
import { mountAt, type MountedDevice } from './mounted-device.ts';
import { detachFrom, type MountpointOptions, unmountFrom } from './mountpoint.ts';
import { changedRows } from './invalidation.ts';
import { MountLocks } from './mount-locks.ts';
import { Notifications } from './notifications.ts';
import { PROFILES } from './profiles.ts';
import type { SyncIntervals, ToMain, ToWorker } from './questions.ts';
import { Service, type ServiceDeps } from './service.ts';
import { eventFd } from './syscalls.ts';
import type { WorkerData } from './worker.ts';

export interface FuseOptions extends Omit<MountpointOptions, 'isReadOnly'> {
  readonly cacheDir: string;
  readonly dirtyDir: string;
  /** Where rows can be read: the LMDB metastore, or a hot tier. Undefined: every question goes to the main thread. */
  readonly rows: { readonly file: string; readonly hot: Pick<HotTier, 'onWritten'> | undefined } | undefined;
  readonly leaseMs: number;
  /** Whether the kernel asks for ACLs, and heeds them. */
  readonly hasAcls: boolean;
  readonly profile: keyof typeof PROFILES;
  readonly feed: ChangeFeed;
  /** Where rows are shared, and locks with them; undefined: the kernel keeps them. */
  readonly locks: LockSession | undefined;
  /** Of a mount that outlives the process. */
  readonly keeper: Keeper | undefined;
}

export interface FuseMount extends CacheUser {
  /** Throws `busy` while somebody uses it. */
  unmount(): Promise<void>;
  /** Takes it out of the tree even so. */
  detach(): Promise<void>;
  /** Serves it no longer, and leaves it to a successor. Absent where that cannot be. */
  handOver?(): Promise<void>;
  /** Resolves when the session has ended, whoever ended it. */
  readonly closed: Promise<void>;
  /** Mounts came or went. */
  refreshMounts(): Promise<void>;
}

const WAKE = Buffer.from(new BigUint64Array([1n]).buffer);
const WORKER = import.meta.url.endsWith('.ts') ? './worker.ts' : './fuse-worker.js';

export async function fuseMount(options: FuseOptions, deps: ServiceDeps): Promise<FuseMount> {
  const { source } = deps;
  const { inode: root } = await deps.namespace.stat(SELF, ROOT_PATH);
  const mountsNow = async () => syncIntervals(await deps.namespace.mounts());
  const { isReadOnly: isTraining, believes } = PROFILES[options.profile];
  const { keeper } = options;
  const { fd, isRoot } = await deviceOf({ ...options, isReadOnly: isTraining }, keeper);
  const { cacheDir, dirtyDir, leaseMs, hasAcls, rows } = options;
  const notifications = new Notifications(fd, () =>
    deps.log('more changes than the kernel could be told of; it will see some of them when its lease ends'),
  );
  // What is only read needs no locks of others.
  const sharing = isTraining ? undefined : options.locks;
  const locks = sharing && new MountLocks({ ...deps, session: sharing });
  const facts = {
    fd,
    memory: keeper?.memory,
    cacheDir,
    dirtyDir,
    leaseMs: believes ? leaseMs : 0,
    hasAcls,
    wantsPassthrough: isRoot,
    isTraining,
    sharesLocks: locks !== undefined,
  };
  const service = new Service(fd, { ...deps, feed: options.feed, ids: keeper?.ids }, locks);
  const isResumed = keeper?.resumedDevice !== undefined;
  const link = new WorkerLink(
    { service, notifications, keeper, ...deps },
    {
      session: { ...facts, root: { bytes: encodeRow(root) } },
      rows: rows && { file: rows.file, isHot: rows.hot !== undefined },
      mounts: await mountsNow(),
      resumed: isResumed ? await service.underWay() : undefined,
    },
  );
  void locks?.begun.then(
    (all) => {
      const held = all.flatMap(({ file, lock }) => (lock.space === 'bytes' ? [{ file, owner: lock.owner }] : []));
      if (sharing?.isNew === false) link.tell({ held });
    },
    () => undefined,
  );
  const unsubscribes = [
    options.feed.subscribe(({ source: by, changes }) => {
      link.committed();
      const changed = by === source ? [] : changedRows(changes);
      if (changed.length > 0) link.tell({ changed });
    }),
    rows?.hot?.onWritten(() => link.committed()),
    deps.dirty.onSettled((settled) => link.tell({ settled })),
    deps.dirty.room.onRoom((bytes) => link.setRoom(bytes)),
  ];
  deps.dirty.resumed();
  const closed = link.ended.then(() => {
    for (const unsubscribe of unsubscribes) unsubscribe?.();
    closeSync(fd);
  });
  return {
    closed,
    async unmount() {
      if (link.isOver) return;
      await unmountFrom(options.at);
      await closed;
    },
    async detach() {
      if (link.isOver) return;
      await detachFrom(options.at);
      // Out of the tree and unused it may have ended by itself meanwhile, and its descriptors with it.
      link.tell('stop');
      await closed;
    },
    async handOver() {
      link.tell('handOver');
      await closed;
    },
    evicted: (key) => link.tell({ evicted: key }),
    holds: ({ id }) => link.holds(id),
    refreshMounts: async () => link.tell({ mounts: await mountsNow() }),
  };
}

async function deviceOf(options: MountpointOptions, keeper: Keeper | undefined): Promise<MountedDevice> {
  if (keeper?.resumedDevice !== undefined) return { fd: keeper.resumedDevice, isRoot: process.getuid?.() === 0 };
  const mounted = await mountAt(options);
  keeper?.keep(options.at, mounted.fd);
  return mounted;
}

function syncIntervals(mounts: readonly Mount[]): SyncIntervals {
  const root = mounts.find(({ path }) => path === ROOT_PATH);
  return {
    byMount: Object.fromEntries(mounts.map((mount) => [mount.id, mount.syncIntervalMs])),
    root: root?.syncIntervalMs,
  };
}

interface LinkDeps extends Pick<ServiceDeps, 'cache' | 'log'> {
  readonly service: Service;
  readonly notifications: Notifications;
  readonly keeper: Keeper | undefined;
}

/** The worker that speaks with the kernel, and what goes to it and comes from it. */
class WorkerLink {
  readonly ended: Promise<void>;
  isOver = false;
  readonly #worker: Worker;
  readonly #wakeFd = eventFd();
  readonly #counters = new Counters();
  readonly #deps: LinkDeps;

  constructor(deps: LinkDeps, data: Omit<WorkerData, 'wakeFd' | 'counters'>) {
    this.#deps = deps;
    const workerData: WorkerData = { ...data, wakeFd: this.#wakeFd, counters: this.#counters.memory };
    // A worker has a compile cache only by way of the environment.
    const cacheFolder = module.getCompileCacheDir();
    const env = { ...process.env, ...(cacheFolder !== undefined && { NODE_COMPILE_CACHE: dirname(cacheFolder) }) };
    this.#worker = new Worker(new URL(WORKER, import.meta.url), { workerData, env });
    this.#worker.on('message', (message: ToMain) => void this.#receive(message));
    this.#worker.on('error', (error) => {
      deps.log(`the FUSE session failed: ${error.stack ?? error.message}`);
      deps.keeper?.failed();
    });
    this.ended = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve())).then(() => {
      this.isOver = true;
      deps.service.close();
      closeSync(this.#wakeFd);
    });
  }

  tell(message: ToWorker | 'stop' | 'handOver'): void {
    if (this.isOver) return;
    this.#worker.postMessage(message);
    if (this.#counters.posted()) writeSync(this.#wakeFd, WAKE);
  }

  setRoom(bytes: number): void {
    this.#counters.room = bytes;
  }

  committed(): void {
    this.#counters.committed();
  }

  holds(id: InodeId): boolean {
    return this.#counters.isHeld(id);
  }

  async #receive(message: ToMain): Promise<void> {
    if ('id' in message) this.tell({ id: message.id, ...(await this.#deps.service.answer(message)) });
    else if ('interrupt' in message) this.#deps.service.interrupt(message.interrupt);
    else if ('close' in message) this.#deps.service.closeFile(message.close);
    else if ('written' in message) this.#deps.service.progressed(message.written, message.progress);
    else if ('release' in message) this.#deps.service.release(message.release);
    else if ('unlock' in message) void this.#deps.service.unlock(message.unlock);
    else if ('touched' in message) for (const key of message.touched) this.#deps.cache.touched(key);
    else if ('notices' in message) for (const notice of message.notices) this.#deps.notifications.push(notice);
    else this.#deps.log(message.log);
  }
}
