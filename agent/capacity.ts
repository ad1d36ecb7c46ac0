import { statfs } from 'node:fs/promises';
import { isFault } from '#shared/model/faults.ts';
import { type Path, ROOT_PATH } from '#shared/model/names.ts';
import { SELF } from '#shared/namespace/access.ts';
import type { Found, Namespace } from '#shared/namespace/namespace.ts';
import type { DataCache } from './cache/data-cache.ts';
import type { Stores } from './stores.ts';

/** What `df` shows of what has no limit. */
const BOUNDLESS = 2 ** 50;
const COUNTLESS = 2 ** 40;

/** For `df` and `df -i`. */
export interface Capacity {
  readonly total: number;
  readonly free: number;
  readonly files: number;
  readonly filesFree: number;
}

export interface CapacityDeps {
  readonly namespace: Pick<Namespace, 'stat' | 'room'>;
  readonly stores: Pick<Stores, 'of'>;
  /** On the disk where written files lie that are in no store. */
  readonly data: string;
  readonly cache: Pick<DataCache, 'usage'>;
}

/**
 * What can be kept at a path: as much as its store takes or, where none is mounted, the local disk and the property cache.size;
 * and no more than what the quotas on the way leave.
 */
export async function capacityAt(deps: CapacityDeps, path: Path): Promise<Capacity> {
  const found = await foundAt(deps, path);
  const [{ total, free }, { bytes, entries }] = await Promise.all([
    found.origin ? ofStore(deps, found) : ofDisk(deps),
    deps.namespace.room(SELF, found.path),
  ]);
  return {
    total: bytes?.limit ?? total,
    free: Math.min(bytes?.left ?? Infinity, free),
    files: entries?.limit ?? COUNTLESS,
    filesFree: entries?.left ?? COUNTLESS,
  };
}

/** Of what is open but has been removed the root is shown. */
async function foundAt({ namespace }: CapacityDeps, path: Path): Promise<Found> {
  try {
    return await namespace.stat(SELF, path);
  } catch (error) {
    if (path === ROOT_PATH || !isFault(error, 'notFound', 'notDirectory')) throw error;
    return namespace.stat(SELF, ROOT_PATH);
  }
}

async function ofStore({ stores }: CapacityDeps, { origin }: Found): Promise<Pick<Capacity, 'total' | 'free'>> {
  return (origin && (await stores.of(origin.mount)?.capacity())) ?? { total: BOUNDLESS, free: BOUNDLESS };
}

async function ofDisk({ data, cache }: CapacityDeps): Promise<Pick<Capacity, 'total' | 'free'>> {
  const { blocks, bavail, bsize } = await statfs(data);
  const { capacityBytes, dirtyBytes } = cache.usage();
  const left = Math.max(0, capacityBytes - dirtyBytes);
  return { total: Math.min(capacityBytes, blocks * bsize), free: Math.min(left, bavail * bsize) };
}
