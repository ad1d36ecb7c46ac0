import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApi } from '#functions/api/api.ts';
import { byToken } from '#functions/api/guard.ts';
import { type MountInfo, mountInfo } from '#functions/api/mounts.ts';
import type { Config } from '#shared/config/config.ts';
import { namespaceEvents } from '#shared/feed/events.ts';
import { isFault, toLeatError } from '#shared/model/faults.ts';
import { MOUNTS } from '#shared/model/ids.ts';
import { ROOT_PATH } from '#shared/model/names.ts';
import { createNamespace, type RunningNamespace } from '#shared/namespace/create-namespace.ts';
import type { Actor, NewMount } from '#shared/namespace/namespace.ts';
import { type ApiServer, isLoopback, type Listen, serveApi } from './api-server.ts';
import { type CacheKey, type DataCache, dataCache } from './cache/data-cache.ts';
import { type AgentFile, findAgent, removeAgentFile, writeAgentFile } from './cli/agent-file.ts';
import { cachedContent } from './content.ts';
import { lockData } from './data-lock.ts';
import { type LocalFeed, localFeed } from './embedded/change-feed.ts';
import { eventRing, type EventRing } from './embedded/event-ring.ts';
import { type EmbeddedMetastore, heapMetastore } from './embedded/heap-metastore.ts';
import { lmdbMetastore } from './embedded/lmdb-metastore.ts';
import { ensureMounts } from './first-mounts.ts';
import { fuseMount, type FuseMount } from './fuse/fuse-mount.ts';
import { fuseMissing } from './fuse/mountpoint.ts';
import { trimWhenIdle } from './memory.ts';
import { LEAT_VERSION } from './package.ts';
import { openStores, type Stores } from './stores.ts';
import { orderedTokens } from './tokens.ts';

const TOKEN_BYTES = 32;
/** What `df` shows of a store that has no limit. */
const BOUNDLESS = { total: 2 ** 50, free: 2 ** 50 };

export interface AgentOptions {
  /** Absolute; everything that lasts is below it. */
  readonly data: string;
  /** Absolute; absent: the API alone. */
  readonly at?: string;
  readonly allowOther: boolean;
  readonly listen: Listen;
  readonly config: Config;
  readonly mounts: readonly NewMount[];
  /** What is shown when nothing is mounted and `mounts` is empty. */
  readonly mountsIfNone: readonly NewMount[];
  readonly log: (line: string) => void;
}

export interface Agent {
  readonly address: Omit<AgentFile, 'at'>;
  /** Where the namespace is mounted; absent when it is not, and `fuseMissing` may say why. */
  readonly at: string | undefined;
  readonly fuseMissing: string | undefined;
  readonly mounts: readonly MountInfo[];
  /** Unmounts and ends. A busy mount is logged and everything goes on, unless forced. */
  stop(options: { readonly force: boolean }): Promise<void>;
  readonly ended: Promise<void>;
}

/** The composition root of the embedded binding: one process, LMDB or the heap, and what it serves. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const started: End[] = [];
  try {
    return await start(options, started);
  } catch (error) {
    await endAll(started);
    throw error;
  }
}

/** Ends something that was started. What was started last ends first: at `stop`, or when a later part fails to start. */
type End = () => unknown;

async function endAll(started: End[]): Promise<void> {
  for (let end = started.pop(); end; end = started.pop()) await end();
}

async function start(options: AgentOptions, started: End[]): Promise<Agent> {
  const { data, log } = options;
  started.push(trimWhenIdle());
  started.push(await lockData(data, () => holderOf(data)));
  started.push(() => removeAgentFile(data));
  const core = await startCore(options, started);
  const { mount, missing } = await startMount(options, core, started);
  const at = mount && options.at;

  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let ending: Promise<void> | undefined;
  const stop = async ({ force }: { readonly force: boolean }) => {
    try {
      await (force ? mount?.detach() : mount?.unmount());
      ending ??= endAll(started).then(end);
    } catch (error) {
      log(toLeatError(error).message);
    }
    await ending;
  };
  // Whoever unmounts it by hand wants the agent to end.
  void mount?.closed.then(() => stop({ force: true }));

  const facts = { at, fuseMissing: missing };
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const server = await startApi(options, core, { facts, token, stop: () => void stop({ force: false }) });
  started.push(() => server.close());
  // Whoever follows is told of the end before the server waits for it.
  started.push(() => core.ring.close());
  const address = { pid: process.pid, url: server.url, token };
  writeAgentFile(data, { ...address, ...(at !== undefined && { at }) });
  const mounts = (await core.namespace.mounts()).map(mountInfo);
  return { address, ...facts, mounts, stop, ended };
}

/** What every door opens on. */
interface Core {
  readonly owner: Actor;
  readonly startedAt: number;
  readonly feed: LocalFeed;
  readonly ring: EventRing;
  readonly metastore: EmbeddedMetastore;
  readonly stores: Stores;
  readonly namespace: RunningNamespace;
  readonly cache: DataCache;
  readonly cacheDir: string;
  /** Called with each content that the cache drops. */
  readonly evictionListeners: Set<(key: CacheKey) => void>;
}

async function startCore({ data, at, config, log, ...options }: AgentOptions, started: End[]): Promise<Core> {
  const clock = () => performance.timeOrigin + performance.now();
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, groups: process.getgroups?.() ?? [] };
  const feed = localFeed();
  const ring = eventRing(feed);
  const { 'metastore.durability': durability } = config;
  const metastore =
    config.metastore === 'heap'
      ? heapMetastore({ feed, clock })
      : lmdbMetastore({ dir: join(data, 'metastore'), feed, clock, durability });
  started.push(() => metastore.close());
  const ended = new AbortController();
  started.push(() => ended.abort());
  const stores = openStores(at === undefined ? [data] : [data, at]);
  const namespace = await createNamespace({
    metastore,
    newId: metastore.newId,
    clock,
    // Cut short at the end, so that what still waits for its turn does not keep the process.
    sleep: (ms) => sleep(ms, undefined, { signal: ended.signal }).catch(() => undefined),
    newToken: orderedTokens(clock),
    storeOf: (mount) => stores.storeOf(mount),
    owner,
    log,
  });
  started.push(() => namespace.close());
  await ensureMounts(namespace, owner, { wanted: options.mounts, ifNone: options.mountsIfNone });
  const evictionListeners = new Set<(key: CacheKey) => void>();
  const cacheDir = join(data, 'cache');
  const cache = dataCache({
    dir: cacheDir,
    capacityBytes: config['cache.size'],
    filesMax: config['cache.files.max'],
    memoryBytes: config['cache.memory'],
    identity: metastore.identity,
    clock,
    onEvicted: (key) => evictionListeners.forEach((listener) => listener(key)),
    log,
  });
  started.push(() => cache.close());
  return {
    owner,
    startedAt: Math.round(clock()),
    feed,
    ring,
    metastore,
    stores,
    namespace,
    cache,
    cacheDir,
    evictionListeners,
  };
}

interface Mounting {
  readonly mount?: FuseMount;
  /** Why there is none, when one was wanted. */
  readonly missing?: string;
}

/** A host that permits no FUSE gets everything else. A mount point that is in use is an error. */
async function startMount(options: AgentOptions, core: Core, started: End[]): Promise<Mounting> {
  if (options.at === undefined) return {};
  const missing = fuseMissing();
  if (missing !== undefined) return { missing };
  try {
    const mount = await openMount(options.at, options, core);
    started.push(() => mount.detach());
    return { mount };
  } catch (error) {
    if (isFault(error, 'unavailable')) return { missing: error.message };
    throw error;
  }
}

async function openMount(at: string, { config, allowOther, log }: AgentOptions, core: Core): Promise<FuseMount> {
  const { namespace, cache, cacheDir, feed, metastore, stores, evictionListeners } = core;
  const mount = await fuseMount(
    {
      at,
      allowOther,
      profile: config['fuse.profile'],
      cacheDir,
      rowsFile: metastore.rowsFile,
      leaseMs: config['metadata.lease'],
      feed,
    },
    {
      namespace,
      cache,
      fetchFor: (found) => stores.fetchFor(found),
      flushed: () => metastore.flushed(),
      capacity: () => capacityOf(core),
      log,
    },
  );
  evictionListeners.add((key) => mount.evicted(key));
  feed.subscribe(({ changes }) => {
    if (changes.some(({ key }) => key.directory === MOUNTS)) void mount.refreshMounts();
  });
  return mount;
}

interface ApiFacts {
  readonly facts: { readonly at: string | undefined; readonly fuseMissing: string | undefined };
  readonly token: string;
  readonly stop: () => void;
}

function startApi(options: AgentOptions, core: Core, { facts, token, stop }: ApiFacts): Promise<ApiServer> {
  const { data, config, listen, log } = options;
  const { owner, startedAt, stores, namespace, cache, ring, metastore } = core;
  const api = createApi({
    namespace,
    content: cachedContent({ namespace, cache, fetchFor: (found) => stores.fetchFor(found) }),
    events: namespaceEvents({ feed: ring, metastore }),
    authenticate: byToken({ owner, token, loopback: isLoopback(listen.host) }),
    log,
    stop,
    info: async () => ({
      version: LEAT_VERSION,
      pid: process.pid,
      startedAt,
      ...facts,
      data,
      metastore: config.metastore,
      mounts: (await namespace.mounts()).map(mountInfo),
      cache: cache.usage(),
      owed: await namespace.owed(),
    }),
  });
  return serveApi((request) => api.fetch(request), listen);
}

/** Of the store at the root, or of the only one; several have nothing that could be added up. */
async function capacityOf({ namespace, stores }: Core): Promise<{ readonly total: number; readonly free: number }> {
  const mounts = await namespace.mounts();
  const shown = mounts.find(({ path }) => path === ROOT_PATH) ?? (mounts.length === 1 ? mounts[0] : undefined);
  return (shown && (await stores.of(shown.id)?.capacity())) ?? BOUNDLESS;
}

function holderOf(data: string): string {
  try {
    return `pid ${findAgent(data).pid}`;
  } catch {
    return 'one that is just starting or ending';
  }
}
