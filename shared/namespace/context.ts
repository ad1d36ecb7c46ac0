import { LeatError } from '../model/faults.ts';
import type { InodeId } from '../model/ids.ts';
import type { Inode, MountId, Nanos, Origin, StoreKey } from '../model/inode.ts';
import { type Name, type Path, toText } from '../model/names.ts';
import type { Clock } from '../ports/clock.ts';
import type { Change, CommitResult, Metastore, NewId, RowKey } from '../ports/metastore.ts';
import type { UnderStore } from '../ports/under-store.ts';
import type { Intents } from './intents.ts';
import type { Actor, Found, Mount } from './namespace.ts';

/** How long a closing mark holds, and how young a row must be to be confirmed: an act that takes longer has died. */
export const LEASE_MS = 10_000;
export const MOVED_MAX = 10_000;
const ATTEMPTS_MAX = 20;
const BACKOFF_MS = 2;

export interface NamespaceDeps {
  readonly metastore: Metastore;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly sleep: (ms: number) => Promise<void>;
  /** Unique and, as text, in the order of making. */
  readonly newToken: () => string;
  readonly storeOf: (mount: Mount) => UnderStore;
  readonly log: (message: string) => void;
}

export interface MountedStore {
  readonly mount: Mount;
  readonly store: UnderStore;
}

/** What the use cases share. */
export interface Context extends NamespaceDeps {
  readonly mounted: Map<MountId, MountedStore>;
  readonly intents: Intents;
  /** Listings under way, by directory. */
  readonly listings: Map<InodeId, Listing>;
  /** Where renamed directories went, newest last, at most `MOVED_MAX`: who confirms one must not take it for removed. */
  readonly movedTo: Map<InodeId, RowKey>;
}

export interface Listing {
  /** True when the first page was the whole directory. */
  readonly firstPage: Promise<boolean>;
  readonly done: Promise<number>;
}

/** A row on the way of a path, with where it is kept. */
export interface Place extends Found {
  readonly key: RowKey;
}

export const nanosOf = (ms: number): Nanos => BigInt(Math.round(ms * 1000)) * 1000n;

export const keyIn = (directory: Place, name: Name): RowKey => ({ directory: directory.inode.id, name });

export function childKey(directory: StoreKey, name: string): StoreKey {
  return (directory === '' ? name : `${directory}/${name}`) as StoreKey;
}

export function originOf(inode: Inode, directory: Place, name: Name): Origin | undefined {
  if (inode.origin) return inode.origin;
  return directory.origin && { mount: directory.origin.mount, key: childKey(directory.origin.key, name) };
}

export function storeAt(context: Context, origin: Origin): MountedStore {
  const found = context.mounted.get(origin.mount);
  if (found) return found;
  throw new LeatError(
    'unavailable',
    `mount ${origin.mount} of ${toText(origin.key)} is not known here; see \`leat mounts\``,
  );
}

export async function inodeAt(context: NamespaceDeps, key: RowKey): Promise<Inode | undefined> {
  const [row] = await context.metastore.get([key]);
  return row && row.kind !== 'record' ? row : undefined;
}

/** The same row, one version on. */
export function revised(inode: Inode, patch: Partial<Inode>): Inode {
  return { ...inode, ...patch, version: inode.version + 1 };
}

export function putRow(key: RowKey, before: Inode, patch: Partial<Inode>): Change {
  return { act: 'put', key, when: { version: before.version }, row: revised(before, patch) };
}

export function commit(context: Context, actor: Actor, changes: readonly Change[]): Promise<CommitResult> {
  return context.metastore.commit(changes, actor.source === undefined ? {} : { source: actor.source });
}

/** Runs an attempt that answers `undefined` when somebody was quicker, until it answers or its patience ends. */
export async function retried<Result>(
  context: NamespaceDeps,
  path: Path,
  attempt: () => Promise<Result | undefined>,
): Promise<Result> {
  for (let i = 0; i < ATTEMPTS_MAX; i++) {
    const result = await attempt();
    if (result !== undefined) return result;
    await context.sleep(Math.random() * BACKOFF_MS * 2 ** Math.min(i, 8));
  }
  throw new LeatError(
    'contended',
    `${toText(path)}: others changed it ${ATTEMPTS_MAX} times while we tried; try again`,
  );
}
