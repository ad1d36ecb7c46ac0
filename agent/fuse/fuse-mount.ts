import { closeSync, writeSync } from 'node:fs';
import module from 'node:module';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ABOVE_ROOT, type InodeId, inodeNumber } from '#shared/model/ids.ts';
import { ROOT_PATH } from '#shared/model/names.ts';
import { encodeRow } from '#shared/model/row-codec.ts';
import type { ChangeFeed, RowChange } from '#shared/ports/change-feed.ts';
import type { CacheKey } from '../cache/data-cache.ts';
import { Counters } from './counters.ts';
import { detachFrom, mountAt, type MountpointOptions, unmountFrom } from './mountpoint.ts';
import { nodeIdOf, ROOT_NODE } from './nodes.ts';
import { Notifications } from './notifications.ts';
import type { ToMain, ToWorker } from './questions.ts';
import { Service, type ServiceDeps } from './service.ts';
import { eventFd } from './syscalls.ts';
import type { WorkerData } from './worker.ts';

export interface FuseOptions extends Omit<MountpointOptions, 'isReadOnly'> {
  readonly cacheDir: string;
  /** The file of the LMDB metastore; undefined: every question goes to the main thread. */
  readonly rowsFile: string | undefined;
  readonly leaseMs: number;
  /** `training`: read-only, no open calls. */
  readonly profile: 'general' | 'training';
  readonly feed: ChangeFeed;
}

export interface FuseMount {
  /** Throws `busy` while somebody uses it. */
  unmount(): Promise<void>;
  /** Takes it out of the tree even so. */
  detach(): Promise<void>;
  /** Resolves when the session has ended, whoever ended it. */
  readonly closed: Promise<void>;
  /** The cache dropped a content. */
  evicted(key: CacheKey): void;
  /** Mounts came or went. */
  refreshMounts(): Promise<void>;
}

const WAKE = Buffer.from(new BigUint64Array([1n]).buffer);
const ROOT_ACTOR = { uid: 0, gid: 0, groups: [], checked: true } as const;
const WORKER = import.meta.url.endsWith('.ts') ? './worker.ts' : './fuse-worker.js';

export async function fuseMount(options: FuseOptions, deps: Omit<ServiceDeps, 'source'>): Promise<FuseMount> {
  const source = crypto.randomUUID();
  const { inode: root } = await deps.namespace.stat(ROOT_ACTOR, ROOT_PATH);
  const mountsNow = async () =>
    Object.fromEntries((await deps.namespace.mounts()).map((mount) => [mount.id, mount.syncIntervalMs]));
  const isTraining = options.profile === 'training';
  const { fd, isRoot } = await mountAt({ ...options, isReadOnly: isTraining });
  const wakeFd = eventFd();
  const counters = new Counters();
  const data: WorkerData = {
    session: {
      fd,
      cacheDir: options.cacheDir,
      leaseMs: options.leaseMs,
      wantsPassthrough: isRoot,
      isTraining,
      root: { bytes: encodeRow(root) },
    },
    rowsFile: options.rowsFile,
    wakeFd,
    counters: counters.memory,
    mounts: await mountsNow(),
  };
  // A worker has a compile cache only by way of the environment.
  const cacheFolder = module.getCompileCacheDir();
  const env = { ...process.env, ...(cacheFolder !== undefined && { NODE_COMPILE_CACHE: dirname(cacheFolder) }) };
  const worker = new Worker(new URL(WORKER, import.meta.url), { workerData: data, env });
  let isOver = false;
  const service = new Service(fd, { ...deps, source });
  const tell = (message: ToWorker | 'stop') => {
    if (isOver) return;
    worker.postMessage(message);
    if (counters.posted()) writeSync(wakeFd, WAKE);
  };
  worker.on('message', (message: ToMain) => void receive(message));
  worker.on('error', (error) => deps.log(`the FUSE session failed: ${error.stack ?? error.message}`));

  async function receive(message: ToMain): Promise<void> {
    if ('id' in message) {
      const outcome = await service.answer(message);
      tell({ id: message.id, ...outcome });
    } else if ('interrupt' in message) service.interrupt(message.interrupt);
    else if ('close' in message) service.closeFile(message.close);
    else if ('touched' in message) for (const key of message.touched) deps.cache.touched(key);
    else deps.log(message.log);
  }

  const notifications = new Notifications(fd, () =>
    deps.log('more changes than the kernel could be told of; it will see some of them when its lease ends'),
  );
  const invalidation = new Invalidation(root.id, notifications, tell);
  const unsubscribe = options.feed.subscribe(({ source: by, changes }) => {
    counters.committed();
    if (by !== source) for (const change of changes) invalidation.changed(change);
  });
  const closed = new Promise<void>((resolve) => {
    worker.once('exit', () => {
      isOver = true;
      unsubscribe();
      service.close();
      closeSync(fd);
      closeSync(wakeFd);
      resolve();
    });
  });
  return {
    closed,
    async unmount() {
      if (isOver) return;
      await unmountFrom(options.at);
      await closed;
    },
    async detach() {
      if (isOver) return;
      await detachFrom(options.at);
      // Out of the tree and unused it may have ended by itself meanwhile, and its descriptors with it.
      tell('stop');
      await closed;
    },
    evicted: ({ id, generation }) => tell({ evicted: { node: nodeIdOf(inodeNumber(id), generation) } }),
    refreshMounts: async () => tell({ mounts: await mountsNow() }),
  };
}

/** Tells the kernel and the worker of rows that others changed: a name may lead elsewhere, attributes may differ. */
class Invalidation {
  readonly #notifications: Notifications;
  readonly #tell: (message: ToWorker) => void;
  #rootId: InodeId;

  constructor(rootId: InodeId, notifications: Notifications, tell: (message: ToWorker) => void) {
    this.#rootId = rootId;
    this.#notifications = notifications;
    this.#tell = tell;
  }

  changed({ key, before, after }: RowChange): void {
    if (before?.kind === 'record' || after?.kind === 'record') return;
    if (key.directory === ABOVE_ROOT) {
      this.#rootId = after?.id ?? this.#rootId;
      return this.#notifications.attributes(ROOT_NODE);
    }
    const parent = this.#nodeOf(key.directory);
    if (after) {
      const node =
        after.kind === 'directory' ? this.#nodeOf(after.id) : nodeIdOf(inodeNumber(after.id), after.generation);
      // An inode of the first version has never been anywhere else.
      if (!before && after.version > 1) this.#tell({ placed: { node, parent, name: key.name } });
      if (before?.id === after.id && before.generation === after.generation)
        return this.#notifications.attributes(node);
    }
    if (before) this.#notifications.entry(parent, key.name);
  }

  #nodeOf(directory: InodeId): number {
    return directory === this.#rootId ? ROOT_NODE : nodeIdOf(inodeNumber(directory), 0);
  }
}
