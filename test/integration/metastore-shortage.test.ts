import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isFault } from '#shared/model/faults.ts';
import { ROOT, sequentialId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import type { Change, CommitResult } from '#shared/ports/metastore.ts';
import { file } from '../contract/metastore.contract.ts';
import { openLmdb } from '../support/metastores.ts';
import { NO_SMALL_DISK, smallDisk } from '../support/small-disk.ts';

const GROUP = 10;
const COMMITS = 4000;
const DISK_BYTES = 8 * 2 ** 20;
const BALLAST_BYTES = 4 * 2 ** 20;

function group(number: number): Change[] {
  return Array.from({ length: GROUP }, (_, i) => {
    const name = `${String((number * 7919) % COMMITS).padStart(6, '0')}-${i}${'x'.repeat(100)}` as Name;
    return { act: 'put', key: { directory: ROOT, name }, when: 'absent', row: file(number) };
  });
}

describe('a disk without room', () => {
  it('makes commits answer `unavailable`, keeps all that were answered, and is over when there is room', async ({
    skip,
  }) => {
    const dir = smallDisk(DISK_BYTES) ?? skip(NO_SMALL_DISK);
    writeFileSync(join(dir, 'ballast'), Buffer.alloc(BALLAST_BYTES));
    const data = join(dir, 'metastore');
    mkdirSync(data);
    const metastore = openLmdb(data);
    const answered: number[] = [];
    const refusals: unknown[] = [];
    const commit = async (number: number): Promise<CommitResult | undefined> => {
      const result = await metastore.commit(group(number)).catch((error: unknown) => {
        refusals.push(error);
      });
      if (result?.committed) answered.push(number);
      return result ?? undefined;
    };
    let number = 0;
    while ((await commit(number)) && number < COMMITS) number++;
    expect(number).toBeLessThan(COMMITS);
    await Promise.all(Array.from({ length: 50 }, (_, i) => commit(number + 1 + i)));
    expect(await metastore.get([{ directory: ROOT, name: group(0)[0]?.key.name ?? ('' as Name) }])).toEqual([file(0)]);

    expect(refusals.filter((error) => !isFault(error, 'unavailable'))).toEqual([]);

    rmSync(join(dir, 'ballast'));
    for (let i = 0; i < 100; i++) expect(await commit(number + 100 + i)).toEqual({ committed: true });
    await metastore.flushed();
    await metastore.close();

    const reopened = openLmdb(data);
    const rows = await reopened.list(ROOT, { limit: COMMITS * GROUP });
    const ids = new Set(answered.map((each) => sequentialId(each)));
    expect(rows).toHaveLength(answered.length * GROUP);
    expect(rows.filter(({ row }) => row.kind === 'record' || !ids.has(row.id))).toEqual([]);
    await reopened.close();
  });
});
