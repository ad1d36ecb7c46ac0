import { createHash } from 'node:crypto';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { heapMetastore } from '#agent/embedded/heap-metastore.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { NamespaceDeps } from '#shared/namespace/context.ts';
import { createNamespace, type RunningNamespace } from '#shared/namespace/create-namespace.ts';
import type { CommitEvent } from '#shared/ports/change-feed.ts';
import type { Metastore, NewId, RowKey } from '#shared/ports/metastore.ts';
import { memoryUnderStore } from '#shared/under-stores/memory.ts';
import { CALM, remoteMetastore, type Weather } from './network.ts';
import { Scheduler } from './scheduler.ts';

/** Less than a lease by far, as clocks of servers are. */
const SKEW_MS_MAX = 1000;
const ID_BYTES = 6;

export interface Executor {
  readonly strand: number;
  readonly namespace: RunningNamespace;
  isAlive: boolean;
  /** Resolves when it dies, with when nothing that it has sent is under way any more. */
  readonly death: Promise<{ readonly over: Promise<void> }>;
  die(): void;
}

/** A break of the protocol, put between each executor and what all share. */
export type Break = (metastore: Metastore) => Metastore;

export interface WorldOptions {
  readonly executors: number;
  /** Ids of directories can be told from their places, as in the cloud; else they are handed out in order. */
  readonly isForetold: boolean;
  readonly broken?: Break;
}

export interface World {
  readonly scheduler: Scheduler;
  readonly executors: readonly Executor[];
  /** All that was committed, in order. */
  readonly commits: readonly CommitEvent[];
  readonly metastore: Metastore;
  weather: Weather;
  /** A namespace that nothing happens to, on the same rows, whose sleeps only move the clock. */
  undisturbed(): Promise<RunningNamespace>;
  readonly logged: readonly string[];
}

/** Several namespaces on one heap, and a scheduler that decides about all that they wait for. */
export async function createWorld(seed: number, { executors, isForetold, broken }: WorldOptions): Promise<World> {
  const scheduler = new Scheduler(seed);
  const feed = localFeed();
  const commits: CommitEvent[] = [];
  const logged: string[] = [];
  feed.subscribe((event) => void commits.push(event));
  const heap = heapMetastore({ clock: () => scheduler.now, feed });
  const newId: NewId = (token) => (token === undefined ? heap.newId() : hashed(`token ${token}`, 0x40));
  const deps = {
    newId,
    ...(isForetold && { directoryIdOf: ({ directory, name }: RowKey) => hashed(`${directory}/${name}`, 0x80) }),
    owner: { uid: 0, gid: 0 },
    storeOf: () => memoryUnderStore(),
    random: scheduler.random,
    isShared: true,
    log: (line: string) => void logged.push(line),
  };
  let tokens = 0;
  const newToken = () => String(++tokens).padStart(12, '0');

  const undisturbed = () =>
    createNamespace({
      ...deps,
      metastore: heap,
      newToken,
      clock: () => scheduler.now,
      sleep: async (ms) => void (scheduler.now += ms),
    });

  const world: World = { scheduler, executors: [], commits, metastore: heap, weather: CALM, undisturbed, logged };

  await undisturbed(); // makes the root
  const opened: Executor[] = [];
  for (let strand = 0; strand < executors; strand++)
    opened.push(await openExecutor(world, { ...deps, metastore: broken?.(heap) ?? heap, newToken }, strand));
  return Object.assign(world, { executors: opened });
}

type Deps = Omit<NamespaceDeps, 'clock' | 'sleep'>;

/** At the other end of the network from what all share, with a clock of its own. */
async function openExecutor(world: World, deps: Deps, strand: number): Promise<Executor> {
  const { scheduler } = world;
  const skew = (scheduler.random() - 0.5) * SKEW_MS_MAX;
  const near = deps.metastore;
  const far = remoteMetastore(near, { scheduler, strand, weather: () => world.weather });
  // What is done at the start of an executor is not what is looked into here.
  let isStarted = false;
  const namespace = await createNamespace({
    ...deps,
    metastore: {
      ...far,
      get: (keys) => (isStarted ? far : near).get(keys),
      list: (directory, page) => (isStarted ? far : near).list(directory, page),
    },
    clock: () => scheduler.now + skew,
    sleep: (ms) => scheduler.sleep(strand, ms),
  });
  isStarted = true;
  const death = Promise.withResolvers<{ readonly over: Promise<void> }>();
  const executor: Executor = {
    strand,
    namespace,
    isAlive: true,
    death: death.promise,
    die() {
      executor.isAlive = false;
      death.resolve({ over: scheduler.halt(strand) });
    },
  };
  return executor;
}

function hashed(text: string, space: number): InodeId {
  const bytes = createHash('sha256').update(text, 'latin1').digest().subarray(0, ID_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | space;
  return bytes.toString('latin1') as InodeId;
}
