import { afterEach, expect } from 'vitest';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { type EmbeddedMetastore, heapMetastore } from '#agent/embedded/heap-metastore.ts';
import type { FaultKind } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { StoreKey } from '#shared/model/inode.ts';
import { parsePath, type Path } from '#shared/model/names.ts';
import type { NamespaceDeps } from '#shared/namespace/context.ts';
import { createNamespace, type RunningNamespace } from '#shared/namespace/create-namespace.ts';
import { entriesOf } from '#shared/namespace/store-tree.ts';
import type { Actor, Namespace, NewMount } from '#shared/namespace/namespace.ts';
import type { ChangeFeed } from '#shared/ports/change-feed.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { memoryUnderStore } from '#shared/under-stores/memory.ts';

export const ROOT_USER: Actor = { uid: 0, gid: 0, groups: [] };
export const path = (text: string): Path => parsePath(text);

export function user(uid: number, ...groups: number[]): Actor {
  return { uid, gid: uid, groups };
}

export async function refused(kind: FaultKind, act: Promise<unknown>): Promise<void> {
  await expect(act).rejects.toMatchObject({ kind });
}

export async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text);
}

export function mountOf(at: string, options: Partial<NewMount> = {}): NewMount {
  return { path: path(at), uri: 'memory:', readOnly: false, syncIntervalMs: -1, options: {}, ...options };
}

export async function textOf(store: UnderStore, key: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  await store.read(key as StoreKey, { offset: 0, length: 2 ** 20 }, (piece) => void pieces.push(piece.slice()));
  return Buffer.concat(pieces).toString();
}

/** All objects of a store with their bytes; markers of directories end in a slash. */
export async function contentOf(store: UnderStore, directory = ''): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key, kind } of entriesOf(store, directory as StoreKey)) {
    if (kind === 'directory') Object.assign(found, { [`${key}/`]: '' }, await contentOf(store, key));
    else found[key] = await textOf(store, key);
  }
  return found;
}

export interface Opened {
  readonly namespace: RunningNamespace;
  readonly metastore: EmbeddedMetastore;
  readonly logged: string[];
  /** Lets the clock run ahead. */
  advance(ms: number): void;
  /** Opens the same rows again, as a process does that comes after. */
  reopen(): Promise<Opened>;
  /** All names below a path, directories with a slash. */
  names(at?: string): Promise<string[]>;
  settled(): Promise<void>;
}

interface Options {
  /** Instead of a new heap. */
  readonly metastore?: EmbeddedMetastore;
  /** Of that one. */
  readonly feed?: ChangeFeed;
  /** So many times faster than the world goes the clock, and shorter are the sleeps. */
  readonly speed?: number;
  readonly storeOf?: (uri: string) => UnderStore;
  /** Several namespaces, by `reopen`, on the same rows at once. */
  readonly isShared?: boolean;
  readonly directoryIdOf?: (key: RowKey) => InodeId;
  readonly wrap?: (metastore: EmbeddedMetastore) => EmbeddedMetastore;
}

/** `deps` are what the namespace was made of. */
type Door = (namespace: Namespace, deps: NamespaceDeps) => Promise<Partial<Namespace>>;

let throughDoor: Door = async () => ({});

/** A test file that runs the tests of others sets here by which way they reach their namespaces. */
export function reachThrough(door: Door): void {
  throughDoor = door;
}

const running: RunningNamespace[] = [];
afterEach(async () => {
  for (const namespace of running.splice(0)) await namespace.close();
});

/** A namespace over the heap, with a memory store behind every mount unless told otherwise. */
export async function openNamespace(options: Options = {}): Promise<Opened> {
  const { speed = 1 } = options;
  const start = Date.now();
  let ahead = 0;
  const clock = () => start + (Date.now() - start) * speed + ahead;
  const own = options.metastore ? undefined : localFeed();
  const feed = options.feed ?? own;
  const heap = options.metastore ?? heapMetastore({ clock, feed: own ?? localFeed() });
  const stores = new Map<string, UnderStore>();
  const storeOf = (uri: string) => {
    const store = stores.get(uri) ?? memoryUnderStore();
    stores.set(uri, store);
    return store;
  };
  return openOver({ ...options, ...(feed && { feed }), storeOf: options.storeOf ?? storeOf }, heap, {
    clock,
    advance: (ms) => void (ahead += ms),
  });
}

let tokens = 0;

async function openOver(
  options: Options & { storeOf: (uri: string) => UnderStore },
  heap: EmbeddedMetastore,
  time: { clock: () => number; advance: (ms: number) => void },
): Promise<Opened> {
  const logged: string[] = [];
  const metastore = options.wrap?.(heap) ?? heap;
  const deps: NamespaceDeps = {
    metastore,
    newId: metastore.newId,
    clock: time.clock,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, Math.min(ms / (options.speed ?? 1), 50)).unref()),
    newToken: () => String(++tokens).padStart(12, '0'),
    storeOf: ({ uri }) => options.storeOf(uri),
    ...(options.isShared ? { isShared: true } : options.feed && { feed: options.feed }),
    ...(options.directoryIdOf && { directoryIdOf: options.directoryIdOf }),
    owner: ROOT_USER,
    log: (line) => void logged.push(line),
  };
  const namespace = await createNamespace(deps);
  running.push(namespace);
  return {
    namespace: { ...namespace, ...(await throughDoor(namespace, deps)) },
    metastore,
    logged,
    advance: time.advance,
    reopen: () => openOver(options, heap, time),
    names: (at = '/') => namesBelow(namespace, path(at)),
    async settled() {
      while ((await namespace.owed()).pending > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    },
  };
}

async function namesBelow(namespace: RunningNamespace, at: Path, prefix = ''): Promise<string[]> {
  const names: string[] = [];
  const { entries } = await namespace.list(ROOT_USER, at, { limit: 10_000 });
  for (const { name, inode } of entries) {
    const isDirectory = inode.kind === 'directory';
    names.push(`${prefix}${name}${isDirectory ? '/' : ''}`);
    const below = `${at === '/' ? '' : at}/${name}` as Path;
    if (isDirectory) names.push(...(await namesBelow(namespace, below, `${prefix}${name}/`)));
  }
  return names;
}
