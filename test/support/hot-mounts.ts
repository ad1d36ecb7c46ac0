import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dataCache } from '#agent/cache/data-cache.ts';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { heapMetastore } from '#agent/embedded/heap-metastore.ts';
import { DirtyFiles } from '#agent/dirty/dirty-files.ts';
import { fuseMount } from '#agent/fuse/fuse-mount.ts';
import { hotTier } from '#agent/joined/hot-tier.ts';
import { joinedNamespace } from '#agent/joined/joined-namespace.ts';
import { readOnly } from '#agent/joined/remote-rows.ts';
import { SELF } from '#shared/namespace/access.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import type { RowChange } from '#shared/ports/change-feed.ts';
import { memoryUnderStore } from '#shared/under-stores/memory.ts';
import { openShared } from './shared-namespace.ts';

const clock = () => performance.timeOrigin + performance.now();
/** One table, in memory, with a feed that comes after a while; and agents on it, each with a hot tier and a mount of its own. */
export async function sharedTable({ feedMs }: { readonly feedMs: () => number | undefined }) {
  const folder = mkdtempSync(join(tmpdir(), 'leat-hot-mounts-'));
  const feed = localFeed();
  const table = heapMetastore({ feed, clock });
  const ends: (() => Promise<unknown>)[] = [];
  let agents = 0;

  const open = async (metastore: Metastore) => {
    const namespace = await openShared({
      metastore,
      clock,
      sleep: (ms) => sleep(ms, undefined, { ref: false }),
      storeOf: () => memoryUnderStore(),
      log: () => {},
    });
    ends.push(() => namespace.close());
    return namespace;
  };
  const writer = await open(table);

  /** A mount, and how often its agent has asked the table since it was last asked that. */
  async function agent({ leaseMs }: { readonly leaseMs: number }) {
    const data = join(folder, String(++agents));
    const at = join(data, 'mnt');
    mkdirSync(at, { recursive: true });
    let asked = 0;
    const count = <Answer>(answer: Answer): Answer => (asked++, answer);
    const remote: Metastore = {
      ...table,
      get: (keys) => count(table.get(keys)),
      list: (directory, page) => count(table.list(directory, page)),
    };
    const log = () => {};
    const hot = hotTier({ dir: join(data, 'rows'), remote, identity: 'table', clock, leaseMs, rowsMax: 100_000, log });
    const local = await open(readOnly(hot));
    const namespace = joinedNamespace({ local, remote: await open(hot.now), storeOf: () => undefined, clock });
    const own = localFeed();
    const unsubscribe = feed.subscribe(({ changes }) => void tell(changes));
    const tell = async (changes: readonly RowChange[]) => {
      const ms = feedMs();
      if (ms === undefined) return;
      await sleep(ms);
      hot.apply(changes);
      own.publish({ source: undefined, changes });
    };
    const cache = dataCache({
      dir: join(data, 'cache'),
      capacityBytes: 2 ** 20,
      filesMax: 100,
      memoryBytes: 2 ** 20,
      identity: 'table',
      clock,
      onEvicted: () => {},
      log,
    });
    const fetchFor = () => () => Promise.reject(new Error('nothing here has bytes'));
    const dirty = new DirtyFiles({
      dir: join(data, 'dirty'),
      namespace,
      cache,
      fetchFor,
      feed: own,
      feedLagMs: 0,
      storeOf: () => undefined,
      holder: 'here',
      actor: SELF,
      flushed: async () => {},
      log,
    });
    const mount = await fuseMount(
      {
        at,
        allowOther: false,
        profile: 'general',
        cacheDir: join(data, 'cache'),
        dirtyDir: join(data, 'dirty'),
        rows: { file: hot.rowsFile, hot },
        leaseMs,
        hasAcls: true,
        feed: own,
        locks: undefined,
        keeper: undefined,
      },
      {
        namespace,
        cache,
        dirty,
        source: crypto.randomUUID(),
        fetchFor,
        flushed: async () => {},
        capacity: async () => ({ total: 1, free: 1, files: 1, filesFree: 1 }),
        log: (line) => process.stderr.write(`${line}\n`),
      },
    );
    ends.push(async () => {
      unsubscribe();
      await mount.detach();
      await dirty.close();
      await cache.close();
      await hot.close();
    });
    const askedSince = () => {
      const before = asked;
      asked = 0;
      return before;
    };
    return { at, hot, askedSince };
  }

  return {
    writer,
    agent,
    async end() {
      for (const end of ends.toReversed()) await end();
      rmSync(folder, { recursive: true });
    },
  };
}
