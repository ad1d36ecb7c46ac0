import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { heapMetastore } from '#agent/embedded/heap-metastore.ts';
import { hotTier } from '#agent/joined/hot-tier.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import { file } from '../contract/metastore.contract.ts';
import { NO_SMALL_DISK, smallDisk } from '../support/small-disk.ts';

const DISK_BYTES = 4 * 2 ** 20;
const BALLAST_BYTES = 3 * 2 ** 20;
const ROWS = 20_000;
const DIRECTORY = '\x80'.padEnd(16, 'd') as InodeId;

const keyOf = (i: number) => ({ directory: DIRECTORY, name: `${i}`.padStart(6, '0') as Name });

it('a hot tier on a disk without room asks the remote store, is never wrong, and is of use again when there is room', async ({
  skip,
}) => {
  const dir = smallDisk(DISK_BYTES) ?? skip(NO_SMALL_DISK);
  writeFileSync(join(dir, 'ballast'), Buffer.alloc(BALLAST_BYTES));
  const clock = () => performance.timeOrigin + performance.now();
  const table = heapMetastore({ feed: localFeed(), clock });
  let asked = 0;
  const remote: Metastore = { ...table, get: (keys) => (asked++, table.get(keys)) };
  const logged: string[] = [];
  const log = (line: string) => void logged.push(line);
  const tier = hotTier({ dir, remote, identity: '', clock, leaseMs: 600_000, rowsMax: 10 ** 6, log });
  const put = (i: number, version: number) =>
    table.commit([{ act: 'put', key: keyOf(i), when: 'any', row: file(i, version) }]);
  for (let i = 0; i < ROWS; i++) await put(i, 1);

  // Page by page: a directory of which some pages could not be kept must not be taken for known.
  for (let after: Name | undefined, isLast = false; !isLast;) {
    const page = await tier.list(DIRECTORY, { ...(after !== undefined && { after }), limit: 500 });
    isLast = page.length < 500;
    after = page.at(-1)?.name;
  }
  expect(logged.length).toBeGreaterThan(0);
  expect(await tier.get([keyOf(1), keyOf(ROWS - 1)])).toEqual([file(1, 1), file(ROWS - 1, 1)]);

  for (let i = 0; i < ROWS; i += 100) await put(i, 2);
  tier.apply(Array.from({ length: ROWS / 100 }, (_, i) => ({ key: keyOf(i * 100), after: file(i * 100, 2) })));
  for (let i = 0; i < ROWS; i += 100) expect(await tier.get([keyOf(i)])).toEqual([file(i, 2)]);

  rmSync(join(dir, 'ballast'));
  tier.forget([keyOf(0)]);
  expect(await tier.get([keyOf(7)])).toEqual([file(7, 1)]);
  const before = asked;
  expect(await tier.get([keyOf(7)])).toEqual([file(7, 1)]);
  expect(asked).toBe(before);
  await tier.close();
});
