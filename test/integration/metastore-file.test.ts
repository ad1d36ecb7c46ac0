import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Key, open } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { lmdbMetastore } from '#agent/embedded/lmdb-metastore.ts';
import { lmdbOptions } from '#agent/embedded/lmdb-rows.ts';
import { rowKeyBytes } from '#agent/embedded/row-keys.ts';
import { ABOVE_ROOT, inodeNumber, ROOT, TOKENS } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import { NAME_BYTES_MAX, type Name } from '#shared/model/names.ts';
import { type Change, TOKEN_LIFE_MS } from '#shared/ports/metastore.ts';
import { file } from '../contract/metastore.contract.ts';
import { openLmdb } from '../support/metastores.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leat-file-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const put = (name: string, row: Row = file(9)): Change => ({
  act: 'put',
  key: { directory: ROOT, name: name as Name },
  when: 'any',
  row,
});

describe('the file of an LMDB metastore', () => {
  it('of a newer format is refused, and left as it is', async () => {
    const metastore = openLmdb(dir);
    const path = metastore.rowsFile ?? '';
    await metastore.commit([put('a')]);
    await metastore.close();
    const db = open<Buffer, Key>(lmdbOptions(path));
    await db.put(rowKeyBytes(ABOVE_ROOT, '\0format'), Buffer.from('2'));
    await db.close();
    expect(() => openLmdb(dir)).toThrow(/newer Leat \(format 2, this one reads 1\)/);
    expect(() => openLmdb(dir)).toThrow(expect.objectContaining({ kind: 'corrupt' }));
  });

  it('keeps rows, ids and its identity over a restart', async () => {
    const first = openLmdb(dir);
    const id = first.newId();
    await first.commit([put('a')]);
    await first.close();
    const second = openLmdb(dir);
    expect(second.identity).toBe(first.identity);
    expect(await second.get([{ directory: ROOT, name: 'a' as Name }])).toEqual([file(9)]);
    expect(inodeNumber(second.newId())).toBeGreaterThan(inodeNumber(id));
    await second.close();
  });

  it('holds full pages of rows that come in order, as listings of a tree bring them', async () => {
    const metastore = openLmdb(dir);
    const directories = 300;
    const bytes = () => statSync(metastore.rowsFile ?? '').size;
    for (let i = 0; i < directories; i++) {
      const directory = metastore.newId();
      const names = Array.from({ length: 100 }, (_, at) => `f${String(at).padStart(7, '0')}` as Name);
      await metastore.commit(
        names.map((name): Change => ({ act: 'put', key: { directory, name }, when: 'absent', row: file(i) })),
      );
      await metastore.flushed();
    }
    // A row is 70 bytes with its key and LMDB's head. Pages that were split in the middle for ever would hold half of it.
    expect(bytes() / (directories * 100)).toBeLessThan(100);
    await metastore.close();
  });

  it('takes names of every length, and any byte', async () => {
    const metastore = openLmdb(dir);
    const names = ['\xff'.repeat(NAME_BYTES_MAX), '\x01', 'x'.repeat(NAME_BYTES_MAX)];
    await metastore.commit(names.map((name) => put(name)));
    const listed = await metastore.list(ROOT, { limit: 10 });
    expect(listed.map(({ name }) => name)).toEqual(['\x01', 'x'.repeat(NAME_BYTES_MAX), '\xff'.repeat(NAME_BYTES_MAX)]);
    await metastore.close();
  });

  it('never shows a half of a commit that breaks, and makes the others of its batch', async () => {
    const metastore = openLmdb(dir);
    // No key of LMDB is that long, and it is met after the first row has been written.
    const broken = [put('half'), put('x'.repeat(5000))];
    const results = await Promise.allSettled([
      metastore.commit([put('before')]),
      metastore.commit(broken),
      metastore.commit([put('after')]),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const listed = await metastore.list(ROOT, { limit: 10 });
    expect(listed.map(({ name }) => name)).toEqual(['after', 'before']);
    await metastore.close();
  });

  it('loses old tokens, wherever in their order they stand', async () => {
    let now = 1_000_000;
    const metastore = lmdbMetastore({ dir, feed: localFeed(), clock: () => now, durability: 'relaxed' });
    const use = async (tokens: string[]) => {
      await Promise.all(tokens.map((token) => metastore.commit([put('a')], { token })));
    };
    const many = (prefix: string) => Array.from({ length: 500 }, (_, i) => `${prefix}${i}`);
    await use(many('z'));
    now += TOKEN_LIFE_MS + 1;
    // These stand before the old ones, and live: a sweep that always began in front would never come to the end.
    await use(many('a'));
    for (let i = 0; i < 50; i++) await use([`m${i}`]);
    const left = await metastore.list(TOKENS, { limit: 2000 });
    expect(left.filter(({ name }) => name.startsWith('z'))).toEqual([]);
    expect(left).toHaveLength(550);
    await metastore.close();
  });
});
