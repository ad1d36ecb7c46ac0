import { heapMetastore } from '#agent/embedded/heap-metastore.ts';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { type InodeId, sequentialId } from '#shared/model/ids.ts';
import { LAST_BYTE, type LockWish } from '#shared/model/locks.ts';
import { Agents } from '#shared/namespace/agents.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import { openShared } from './shared-namespace.ts';

export const FILE: InodeId = sequentialId(1000);

export function wishOf(fields: Partial<LockWish> = {}): LockWish {
  const whole = { start: 0n, end: LAST_BYTE };
  const owner = { agent: 'a', session: 'a1', owner: '1', pid: 1 };
  return { ...owner, space: 'bytes', type: 'exclusive', ...whole, ...fields };
}

/** Rows in memory that agents share, each with a namespace of its own; time passes only when told. */
export function lockingAgents(wrap: (metastore: ReturnType<typeof heapMetastore>) => Metastore = (rows) => rows) {
  let now = Date.now();
  const clock = () => now;
  const rows = heapMetastore({ clock, feed: localFeed() });
  const inboxes = { open: async (id: string) => id, remove: async () => {} };
  const agents = new Agents({ metastore: rows, inboxes, clock });
  return {
    rows,
    agents,
    clock,
    advance: (ms: number) => void (now += ms),
    open: () => openShared({ metastore: wrap(rows), clock, sleep: () => new Promise(setImmediate) }),
  };
}
