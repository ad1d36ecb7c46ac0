import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EmbeddedMetastore } from '#agent/embedded/heap-metastore.ts';
import { openRows } from '#agent/embedded/lmdb-rows.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { decodeRow } from '#shared/model/row-codec.ts';
import { file } from '../contract/metastore.contract.ts';
import { openLmdb } from '../support/metastores.ts';

const READER = new URL('../support/row-reader.ts', import.meta.url);
const COMMITS = 300;
const MIB = 2 ** 20;

let dir: string;
let metastore: EmbeddedMetastore;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leat-readers-'));
  metastore = openLmdb(dir);
});
afterEach(async () => {
  await metastore.close();
  rmSync(dir, { recursive: true });
});

const put = (version: number, name = 'row') =>
  metastore.commit([{ act: 'put', key: { directory: ROOT, name: name as Name }, when: 'any', row: file(9, version) }]);

const rowsFile = () => metastore.rowsFile ?? '';

describe('a reader beside the metastore', () => {
  it('sees each commit that has answered, from another process', async () => {
    const child = fork(READER.pathname, [rowsFile()], { stdio: 'inherit' });
    try {
      for (let version = 1; version <= COMMITS; version++) {
        await put(version);
        child.send('row');
        expect(await once(child, 'message')).toEqual([version, undefined]);
      }
    } finally {
      child.kill();
      await once(child, 'exit');
    }
  });

  it('sees each commit that has answered, from another thread', async () => {
    const worker = new Worker(READER, { argv: [rowsFile()] });
    try {
      for (let version = 1; version <= COMMITS; version++) {
        await put(version);
        worker.postMessage('row');
        expect(await once(worker, 'message')).toEqual([version]);
      }
    } finally {
      await worker.terminate();
    }
  });

  it('gets exactly the bytes of a row, however long the one before was', async () => {
    const long = 'x'.repeat(3000);
    const key = (name: string) => ({ directory: ROOT, name: name as Name });
    const record = (body: string) => ({ kind: 'record', version: 1, body }) as const;
    await metastore.commit([
      { act: 'put', key: key('long'), when: 'any', row: record(long) },
      { act: 'put', key: key('short'), when: 'any', row: record('short') },
    ]);
    const rows = openRows(rowsFile());
    const bodyOf = (bytes: Uint8Array | undefined) => bytes && decodeRow(bytes);
    expect(bodyOf(rows.get(ROOT, 'long'))).toEqual(record(long));
    expect(bodyOf(rows.get(ROOT, 'short'))).toEqual(record('short'));
    expect(rows.list(ROOT, '', 10)?.map(({ row }) => bodyOf(row))).toEqual([record(long), record('short')]);
    rows.close();
  });

  it('does not keep the file growing while its thread sleeps', async () => {
    await put(1);
    const worker = new Worker(READER, { argv: [rowsFile(), 'asleep'] });
    worker.postMessage('row');
    expect(await once(worker, 'message')).toEqual([1]);
    const before = statSync(rowsFile()).size;
    for (let version = 2; version < 5000; version++) {
      await put(version);
      if (version % 100 === 0) await metastore.flushed();
    }
    // Each commit writes at least two pages anew: 40 MiB and more when none of them is used again.
    expect(statSync(rowsFile()).size - before).toBeLessThan(8 * MIB);
    await worker.terminate();
  });
});
