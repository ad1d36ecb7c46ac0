import { LeatError } from '../model/faults.ts';
import type { InodeId } from '../model/ids.ts';
import {
  childKey,
  type Inode,
  type MountId,
  type Nanos,
  type Origin,
  type Row,
  type StoreKey,
} from '../model/inode.ts';
import { isWithin, type Name, type Path, ROOT_PATH, toText } from '../model/names.ts';
import type { ChangeFeed } from '../ports/change-feed.ts';
import type { Clock } from '../ports/clock.ts';
import type { Change, CommitResult, Condition, Metastore, NewId, RowKey } from '../ports/metastore.ts';
import type { UnderStore } from '../ports/under-store.ts';
import { atAllNames } from './all-names.ts';
import type { DirectoryTimes } from './directory-times.ts';
import type { Observation } from './intent-keys.ts';
import type { Intents } from './intents.ts';
import type { MountLeases } from './mount-leases.ts';
import type { Actor, Found, Mount } from './namespace.ts';
import type { Quotas } from './quotas.ts';

/** How long a closing mark holds, and how young a row must be to be confirmed: an act that takes longer has died. */
export const LEASE_MS = 10_000;
const ATTEMPTS_MAX = 20;
const BACKOFF_MS = 2;
const BACKOFF_DOUBLINGS_MAX = 8;

export interface NamespaceDeps {
  readonly metastore: Metastore;
  readonly newId: NewId;
  /**
   * The id of the directory that is the first to be made at a key, so that the ids on a path can be told from its names and all
   * rows be read in one round trip. Absent where a round trip costs nothing.
   */
  readonly directoryIdOf?: (key: RowKey) => InodeId;
  /**
   * Others run namespaces on the same rows: mounts come and go without this one, and what is done behind (trash, directory
   * times) is done by who is there for it.
   */
  readonly isShared?: boolean;
  /** Where rows are only read: brings a directory in step with its store, some time, by who may write. */
  readonly listElsewhere?: (path: Path) => void;
  /** The same for the tree of a quota: counts it anew. */
  readonly countElsewhere?: (directory: InodeId) => void;
  /** Of all commits, where only this process makes any: what lies in the trees of quotas is known by it at once. */
  readonly feed?: ChangeFeed;
  readonly clock: Clock;
  readonly sleep: (ms: number) => Promise<void>;
  /** Unique and, as text, in the order of making; of letters, digits, `-` and `_`. */
  readonly newToken: () => string;
  readonly storeOf: (mount: Mount) => UnderStore;
  /** Who runs this: the root directory is theirs, and they mount stores as uid 0 does. */
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly log: (message: string) => void;
  /** From 0 to below 1, for the spread of retries; `Math.random` unless given. */
  readonly random?: () => number;
}

export interface MountedStore {
  readonly mount: Mount;
  readonly store: UnderStore;
}

/** What the use cases share. */
export interface Context extends NamespaceDeps {
  readonly random: () => number;
  readonly mounted: Map<MountId, MountedStore>;
  readonly intents: Intents;
  readonly leases: MountLeases;
  readonly times: DirectoryTimes;
  readonly quotas: Quotas;
  /** Of this process, among those that share its rows. */
  readonly name: string;
  /** Listings under way, by directory. */
  readonly listings: Map<InodeId, RunningListing>;
  /** Directories whose listing behind has failed, and when to try again: an outage is not asked about by every reader. */
  readonly listingPauses: Map<InodeId, number>;
}

export interface RunningListing {
  readonly mount: MountId;
  /** True when the first page was the whole directory. */
  readonly firstPage: Promise<boolean>;
  /** How many rows changed. */
  readonly done: Promise<number>;
}

/** A row on the way of a path, with where it is kept. */
export interface Place extends Found {
  readonly key: RowKey;
}

export const nanosOf = (ms: number): Nanos => BigInt(Math.round(ms * 1000)) * 1000n;

export const keyIn = (directory: Place, name: Name): RowKey => ({ directory: directory.inode.id, name });

/** Where the bytes of a row in a directory lie now. */
export function originOf(inode: Inode, directory: Place, name: Name): Origin | undefined {
  return inode.origin ?? inheritedOrigin(directory, name);
}

export function inheritedOrigin(directory: Place, name: Name): Origin | undefined {
  return directory.origin && { mount: directory.origin.mount, key: childKey(directory.origin.key, name) };
}

/** Where a path of a mount lies once all that is owed has been done: under its own name. */
export function homeOf(context: Context, { mount }: Origin, path: Path): Origin {
  const root = mountedAt(context, mount).mount.path;
  return { mount, key: path.slice(root === ROOT_PATH ? 1 : root.length + 1) as StoreKey };
}

/** True when what was still to be read at an old key has been moved since it was looked up. */
export function hasArrived(context: Context, { origin, path }: Found, { observation }: Observing): boolean {
  if (!origin) return false;
  const home = homeOf(context, origin, path);
  const { keys } = context.intents;
  // Of several names' object, to the key of any of them.
  return home.key !== origin.key && (keys.hasLeftFor(home, observation) || keys.wasDisplaced(origin, observation));
}

interface Observing {
  readonly observation: Observation;
}

/**
 * The key by which the store is to be told of a change. A move that is owed brings what is at the old key, and leaves nothing
 * there; by then that key may be another file's.
 */
export function keyToTell(
  context: Context,
  origin: Origin,
  { path, debtor }: { readonly path: Path; readonly debtor: Observing },
): Origin {
  const home = homeOf(context, origin, path);
  const { keys } = context.intents;
  return keys.isArriving(home) || keys.hasLeftFor(home, debtor.observation) ? home : origin;
}

export function mountedAt(context: Context, id: MountId): MountedStore {
  const found = context.mounted.get(id);
  if (found) return found;
  throw new LeatError('unavailable', `the store of mount ${id} is not mounted any more; see \`leat mounts\``);
}

/** The mounts at a path or below it. */
export function mountsWithin(context: Context, path: Path): MountedStore[] {
  return [...context.mounted.values()].filter(({ mount }) => isWithin(mount.path, path));
}

export async function inodeAt(context: NamespaceDeps, key: RowKey): Promise<Inode | undefined> {
  const [row] = await context.metastore.get([key]);
  return row && row.kind !== 'record' ? row : undefined;
}

/** Its creator may still take it back. */
export function isYoung(context: Context, row: Row): boolean {
  return row.kind !== 'record' && row.bornAt !== undefined && context.clock() - row.bornAt < LEASE_MS;
}

/** The same row, one version on. */
export function revised(inode: Inode, patch: Partial<Inode>): Inode {
  return { ...inode, ...patch, version: inode.version + 1 };
}

/** The condition that the row is as it was read. */
export const asRead = ({ version, id }: Inode): Condition => ({ version, id });

export function putRow(key: RowKey, before: Inode, patch: Partial<Inode>): Change {
  return { act: 'put', key, when: asRead(before), row: revised(before, patch) };
}

/** The row stays as it was read. */
export const checked = (key: RowKey, inode: Inode): Change => ({ act: 'check', key, when: asRead(inode) });

/** Not after the caller has given up: he may be asking again, and what has been done by then must not be done once more. */
export async function commit(
  context: Pick<Context, 'metastore' | 'clock'>,
  actor: Actor,
  changes: readonly Change[],
): Promise<CommitResult> {
  const { until = Infinity } = actor.request ?? {};
  if (context.clock() > until) {
    throw new LeatError('unavailable', 'the request took longer than its caller waits for an answer; it was not done');
  }
  return context.metastore.commit(atAllNames(changes), actor.source === undefined ? {} : { source: actor.source });
}

/** These keys have to be settled before an act can be made. */
export interface Owed {
  readonly owed: readonly Origin[];
}

/** As `retried`. What has to be waited for is waited for between the attempts, outside of any turn: others go on meanwhile. */
export function whenSettled<Result>(
  context: Context,
  path: Path,
  attempt: () => Promise<Result | Owed | undefined>,
): Promise<Result> {
  return retried(context, path, async () => {
    const outcome = await attempt();
    if (!isOwed(outcome)) return outcome;
    await context.intents.settled(outcome.owed);
    return undefined;
  });
}

const isOwed = (outcome: unknown): outcome is Owed =>
  typeof outcome === 'object' && outcome !== null && 'owed' in outcome;

/** Runs an attempt that answers `undefined` when somebody was quicker, until it answers or its patience ends. */
export function retried<Result>(
  context: Context,
  path: Path,
  attempt: () => Promise<Result | undefined>,
): Promise<Result> {
  return retriedFor(context, toText(path), attempt);
}

/** The same for what has no path. */
export async function retriedFor<Result>(
  context: Pick<Context, 'sleep' | 'random'>,
  what: string,
  attempt: () => Promise<Result | undefined>,
): Promise<Result> {
  for (let i = 0; i < ATTEMPTS_MAX; i++) {
    const result = await attempt();
    if (result !== undefined) return result;
    await context.sleep(context.random() * BACKOFF_MS * 2 ** Math.min(i, BACKOFF_DOUBLINGS_MAX));
  }
  throw new LeatError('contended', `${what}: others changed it ${ATTEMPTS_MAX} times while we tried; try again`);
}
