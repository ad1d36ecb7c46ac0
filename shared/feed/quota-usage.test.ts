import { expect, it } from 'vitest';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { heapMetastore } from '#agent/embedded/heap-metastore.ts';
import type { RowChange } from '#shared/ports/change-feed.ts';
import { path, refused, ROOT_USER as root } from '../../test/support/namespace.ts';
import { openShared } from '../../test/support/shared-namespace.ts';
import { QuotaUsage } from './quota-usage.ts';

const mode = 0o755;

/** Two that share rows, and the feed that tells of both. */
async function openTwo() {
  let now = Date.now();
  const clock = () => now;
  const feed = localFeed();
  const metastore = heapMetastore({ clock, feed });
  const [a, b] = [await openShared({ metastore, clock }), await openShared({ metastore, clock })];
  const usage = new QuotaUsage({ metastore, clock });
  let changes: RowChange[] = [];
  feed.subscribe((event) => void changes.push(...event.changes));
  const told = () => usage.fold(changes.splice(0));
  const advance = (ms: number) => void (now += ms);
  await a.mkdir(root, path('/d/e'), { mode, parents: true });
  await told();
  await a.setQuota(root, path('/d'), { entries: 4, bytes: 100 });
  advance(11_000);
  return { a, b, told, advance };
}

it('tells each process what others have made and removed', async () => {
  const { a, b, told } = await openTwo();
  const used = async () => (await a.quotas(root, path('/')))[0]?.used;
  for (const name of ['x', 'y', 'e/z']) await b.create(root, path(`/d/${name}`), { mode });
  expect(await used()).toEqual({ entries: 1, bytes: 0 });
  await told();
  expect(await used()).toEqual({ entries: 4, bytes: 0 });
  await refused('quotaExceeded', a.create(root, path('/d/more'), { mode }));
  await b.remove(root, path('/d/x'), 'file');
  await told();
  await a.create(root, path('/d/more'), { mode });
});

it('has the tree walked soon when a directory came with what is in it, or went', async () => {
  const { a, b, told, advance } = await openTwo();
  const used = async () => (await a.quotas(root, path('/')))[0]?.used.entries;
  await b.mkdir(root, path('/t/u/v'), { mode, parents: true });
  await told();
  await b.removeTree(root, path('/d/e'));
  await b.rename(root, path('/t'), path('/d/t'));
  await told();
  expect(await used()).toBe(1);
  advance(11_000);
  await expect.poll(used).toBe(3);
});

it('does not look for quotas all the time where there are none', async () => {
  const { a, told, advance } = await openTwo();
  await a.removeQuota(root, path('/d'));
  await told();
  await a.create(root, path('/d/x'), { mode });
  await a.setQuota(root, path('/d'), { entries: 4 });
  advance(11_000);
  await a.create(root, path('/d/y'), { mode });
  await told();
  expect((await a.quotas(root, path('/')))[0]?.used.entries).toBeGreaterThan(2);
});
