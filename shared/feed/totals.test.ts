import fc from 'fast-check';
import { expect, it } from 'vitest';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { heapMetastore } from '#agent/embedded/heap-metastore.ts';
import { type InodeId, ROOT, TOTALS, TRASH } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import { file } from '../../test/contract/metastore.contract.ts';
import { countIn, type NumberedChange, totalsOf } from './totals.ts';

const OTHER = 'other directory.' as InodeId;
const open = () => ({ metastore: heapMetastore({ feed: localFeed(), clock: Date.now }), clock: () => 1000 });
const change = (
  sequence: number,
  before: Row | undefined,
  after: Row | undefined,
  directory = ROOT,
): NumberedChange => ({
  key: { directory, name: 'a' as Name },
  before,
  after,
  sequence: String(sequence),
});

it('counts entries and the bytes of files, by directory', async () => {
  const deps = open();
  await countIn(deps, [
    change(1, undefined, file(10)),
    change(2, undefined, { ...file(99), kind: 'symlink' }),
    change(3, undefined, file(5), OTHER),
    change(4, undefined, file(6), TRASH),
    change(5, file(10), file(12)),
  ]);
  expect(await totalsOf(deps.metastore, [ROOT, OTHER, TRASH])).toEqual([
    { entries: 2, bytes: 12 },
    { entries: 1, bytes: 5 },
    { entries: 0, bytes: 0 },
  ]);
});

it('lets the totals of an empty directory end, and takes that back when it is not empty any more', async () => {
  const { metastore, clock } = open();
  const record = async () => (await metastore.get([{ directory: TOTALS, name: ROOT as string as Name }]))[0];
  await countIn({ metastore, clock }, [change(1, undefined, file(1))]);
  expect(await record()).not.toHaveProperty('expiresAt');
  await countIn({ metastore, clock }, [change(2, file(1), undefined)]);
  expect(await record()).toMatchObject({ expiresAt: 1000 + 7 * 24 * 3600 * 1000 });
  await countIn({ metastore, clock }, [change(3, undefined, file(2))]);
  expect(await record()).not.toHaveProperty('expiresAt');
});

it('counts each change once, in whatever parts and however often they come, and whoever counts beside', async () => {
  const history = Array.from({ length: 12 }, (_, i) => {
    // A file that grows, goes, and comes again; the numbers get longer on the way.
    const [before, after] = [i % 4 === 0 ? undefined : file(i), i % 4 === 3 ? undefined : file(i + 1)];
    return change(95 + i, before, after, i % 2 === 0 ? ROOT : OTHER);
  });
  const part = fc.record({
    from: fc.nat(11),
    length: fc.integer({ min: 1, max: 12 }),
    workers: fc.integer({ min: 1, max: 3 }),
  });
  const whole = open();
  await countIn(whole, history);
  const expected = await totalsOf(whole.metastore, [ROOT, OTHER]);
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 8 }), async (parts) => {
      const deps = open();
      let done = 0;
      // Parts begin no later than where the last one ended: that is what a stream promises.
      for (const { from, length, workers } of [...parts, { from: 11, length: 12, workers: 1 }]) {
        const start = Math.min(from, done);
        const some = history.slice(start, start + length);
        await Promise.all(Array.from({ length: workers }, () => countIn(deps, some)));
        done = Math.max(done, start + some.length);
      }
      await countIn(deps, history.slice(done));
      expect(await totalsOf(deps.metastore, [ROOT, OTHER])).toEqual(expected);
    }),
  );
});
