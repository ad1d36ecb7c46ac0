import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '#shared/config/config.ts';
import { orderedTokens } from '#shared/model/tokens.ts';
import { SELF } from '#shared/namespace/access.ts';
import type { Actor, Mount, Namespace, NewMount } from '#shared/namespace/namespace.ts';
import type { ChangeFeed, FollowedFeed } from '#shared/ports/change-feed.ts';
import type { Clock } from '#shared/ports/clock.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import type { Listen } from './api-server.ts';
import { type CacheUser, type DataCache, dataCache } from './cache/data-cache.ts';
import { DirtyFiles } from './dirty/dirty-files.ts';
import type { Keeper } from './fuse/keeper.ts';
import type { HotTier } from './joined/hot-tier.ts';
import { openStores, type Stores } from './stores.ts';
import type { Succession } from './supervisor/supervised.ts';

export interface AgentOptions {
  /** Absolute, and without symlinks; everything that lasts is below it. */
  readonly data: string;
  /** The same of the mount point; absent: the API alone. */
  readonly at?: string;
  readonly allowOther: boolean;
  /** The URL of the API of a cloud; absent: a namespace of its own. */
  readonly join?: string;
  readonly listen: Listen;
  readonly config: Config;
  readonly mounts: readonly NewMount[];
  /** What is shown when nothing is mounted and `mounts` is empty. */
  readonly mountsIfNone: readonly NewMount[];
  readonly log: (line: string) => void;
  /** Of an agent whose mount outlives it. */
  readonly keeper?: Keeper;
  /** Of one that can be followed by another. */
  readonly succession?: Succession;
}

/** Ends something that was started. What was started last ends first: at `stop`, or when a later part fails to start. */
export type End = () => unknown;

export async function endAll(started: End[]): Promise<void> {
  for (let end = started.pop(); end; end = started.pop()) await end();
}

/** What every door opens on, in whichever binding. */
export interface Core {
  readonly owner: Actor;
  readonly startedAt: number;
  /** What `leat info` calls it. */
  readonly metastoreName: string;
  readonly metastore: Metastore;
  /** Where other threads can read rows; undefined where they cannot. `hot`: those that are known here, for as long as that counts. */
  readonly rows: { readonly file: string; readonly hot: HotTier | undefined } | undefined;
  /** What has changed, for the mount and the caches of this process. */
  readonly feed: ChangeFeed;
  /** The same for users, who come and go. */
  readonly followed: FollowedFeed & { close(): void };
  readonly stores: Stores;
  readonly namespace: Namespace;
  /** Its id among those that share its rows; undefined where there are none. */
  readonly agentId: string | undefined;
  readonly cache: DataCache;
  readonly cacheDir: string;
  readonly dirty: DirtyFiles;
  readonly dirtyDir: string;
  /** Marks what this agent commits on its own. */
  readonly source: string;
  readonly cacheUsers: Set<CacheUser>;
}

/** What namespaces are given of this process, in whichever binding. */
export function processDeps({ data, at }: AgentOptions, started: End[]) {
  const clock = () => performance.timeOrigin + performance.now();
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, groups: process.getgroups?.() ?? [] };
  const stores = openStores(at === undefined ? [data] : [data, at]);
  const ended = new AbortController();
  started.push(() => ended.abort());
  return {
    clock,
    // Cut short at the end, so that what still waits for its turn does not keep the process.
    sleep: (ms: number) => sleep(ms, undefined, { signal: ended.signal }).catch(() => undefined),
    newToken: orderedTokens(clock),
    storeOf: (mount: Mount) => stores.storeOf(mount),
    owner,
    stores,
  };
}

/** The cache of bytes. `identity` is that of the rows: what was cached for the ids of others means nothing. */
export function cachedCore(
  { data, config, log }: AgentOptions,
  { identity, clock }: { readonly identity: string; readonly clock: Clock },
  started: End[],
): Pick<Core, 'cache' | 'cacheDir' | 'cacheUsers'> {
  const cacheUsers = new Set<CacheUser>();
  const cacheDir = join(data, 'cache');
  const cache = dataCache({
    dir: cacheDir,
    capacityBytes: config['cache.size'],
    filesMax: config['cache.files.max'],
    memoryBytes: config['cache.memory'],
    identity,
    clock,
    onEvicted: (key) => cacheUsers.forEach((user) => user.evicted(key)),
    isHeld: (key) => [...cacheUsers].some((user) => user.holds(key)),
    log,
  });
  started.push(() => cache.close());
  return { cache, cacheDir, cacheUsers };
}

interface DirtyMeans extends Pick<Core, 'namespace' | 'cache' | 'stores' | 'feed' | 'metastore'> {
  readonly feedLagMs: number;
  /** What the agent is called in rows. */
  readonly holder: string;
  readonly namespaceId: string;
}

/** The files that are written here. Those of another namespace stay where they are, for when it comes back. */
export async function dirtyCore(
  { data, log, keeper }: AgentOptions,
  { metastore, stores, namespaceId, ...means }: DirtyMeans,
  started: End[],
): Promise<Pick<Core, 'dirty' | 'dirtyDir' | 'source'>> {
  const source = crypto.randomUUID();
  const dirtyDir = join(data, 'dirty', encodeURIComponent(namespaceId));
  const dirty = new DirtyFiles({
    dir: dirtyDir,
    ...means,
    fetchFor: (found) => stores.fetchFor(found),
    storeOf: (mount) => stores.of(mount),
    actor: { ...SELF, source },
    flushed: () => metastore.flushed(),
    log,
  });
  started.push(() => dirty.close());
  await dirty.recover(keeper?.resumedDevice === undefined ? undefined : keeper.writers());
  return { dirty, dirtyDir, source };
}
