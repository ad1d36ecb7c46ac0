import { expect, it } from 'vitest';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { heapMetastore } from '#agent/embedded/heap-metastore.ts';
import { QUOTAS } from '#shared/model/ids.ts';
import { openNamespace, path, refused, ROOT_USER as root } from '../../test/support/namespace.ts';
import { openShared } from '../../test/support/shared-namespace.ts';

const mode = 0o755;
const MINUTES = 60_000;

/** Two that share rows, on one clock. */
async function openTwo() {
  let now = Date.now();
  const clock = () => now;
  const metastore = heapMetastore({ clock, feed: localFeed() });
  const counted: string[] = [];
  const open = (more = {}) => openShared({ metastore, clock, ...more });
  const [a, b] = [await open(), await open({ countElsewhere: (id: string) => void counted.push(id) })];
  await a.mkdir(root, path('/d'), { mode });
  await a.setQuota(root, path('/d'), { entries: 3 });
  const used = async () => (await a.quotas(root, path('/')))[0]?.used.entries;
  return { a, b, counted, used, advance: (ms: number) => void (now += ms) };
}

it('counts what each has made itself, and all anew when the count is old', async () => {
  const { a, b, used, advance } = await openTwo();
  await a.create(root, path('/d/a'), { mode });
  await b.create(root, path('/d/b'), { mode });
  // Of the other's nobody has told yet.
  expect(await used()).toBe(1);
  advance(2 * MINUTES);
  await expect.poll(used).toBe(2);
  await a.create(root, path('/d/c'), { mode });
  await refused('quotaExceeded', a.create(root, path('/d/d'), { mode }));
});

it('has an old count renewed by who has the time', async () => {
  const { a, b, counted, used, advance } = await openTwo();
  await b.create(root, path('/d/a'), { mode });
  expect(counted).toEqual([]);
  advance(2 * MINUTES);
  await b.create(root, path('/d/b'), { mode });
  expect(counted).toHaveLength(1);
  await a.count(counted[0] as never);
  expect(await used()).toBe(2);
});

it('keeps no count of what has no quota', async () => {
  const { namespace, metastore } = await openNamespace({ isShared: true });
  await namespace.mkdir(root, path('/d/e'), { mode, parents: true });
  await namespace.setQuota(root, path('/d'), { entries: 9 });
  await namespace.mkdir(root, path('/tree/of/three'), { mode, parents: true });
  await namespace.rename(root, path('/tree'), path('/d/tree'));
  const { id } = (await namespace.stat(root, path('/d'))).inode;
  expect((await namespace.quotas(root, path('/')))[0]?.used.entries).toBe(4);
  await namespace.removeQuota(root, path('/d'));
  await namespace.count(id);
  expect(await metastore.list(QUOTAS, { limit: 1 })).toEqual([]);
});
