import { setTimeout as sleep } from 'node:timers/promises';
import { isFault, LeatError } from '#shared/model/faults.ts';
import { toText } from '#shared/model/names.ts';
import type { Actor, Found, Namespace } from '#shared/namespace/namespace.ts';
import type { Fetch } from '../cache/data-cache.ts';

/** So often it is looked whether another agent has stored what it wrote. */
const LOOKS_MAX = 50;
const LOOK_PAUSE_MS = 100;

export interface StoreContentDeps {
  readonly namespace: Namespace;
  readonly fetchFor: (found: Found) => Fetch;
}

/** As the store reads it; when that has another version than the row, the row is brought in step, and `changed` thrown. */
export function refreshing({ namespace, fetchFor }: StoreContentDeps, found: Found): Fetch {
  const fetch = fetchFor(found);
  return async (range, sink, signal) => {
    try {
      await fetch(range, sink, signal);
    } catch (error) {
      if (!isFault(error, 'changed', 'notFound')) throw error;
      await namespace.refresh(found.path, found.inode);
      throw stale(found, error);
    }
  };
}

/** Another agent has its bytes: waits until they are in the store, where it has another content then. */
export async function stored({ namespace }: StoreContentDeps, actor: Actor, { path }: Found): Promise<LeatError> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const found = await namespace.stat(actor, path);
    if (!found.inode.dirty) return stale(found);
    await sleep(LOOK_PAUSE_MS);
  }
  return new LeatError('unavailable', `${toText(path)}: its bytes are at another agent, which has not stored them yet`);
}

export function stale({ path }: Found, cause?: unknown): LeatError {
  return new LeatError('changed', `${toText(path)}: has another content now; open it again`, { cause });
}
