import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EmbeddedMetastore } from '#agent/embedded/heap-metastore.ts';
import { restoreSyncedPages } from '#agent/embedded/synced-pages.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import type { Change } from '#shared/ports/metastore.ts';
import { file } from '../contract/metastore.contract.ts';
import { openLmdb } from '../support/metastores.ts';

const PAGE = 4096;
const FILE = 'rows.mdb';
const ROWS = 3000;
const ROUNDS = 40;
const SLOTS = [0, 131_072];
const HEAD_BYTES = 64;
const BOOT_AT = 16;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leat-power-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const nameOf = (i: number) => `row-${(i * 7919) % ROWS}` as Name;
const put = (i: number, version: number): Change => ({
  act: 'put',
  key: { directory: ROOT, name: nameOf(i) },
  when: 'any',
  row: file(100 + version, version),
});

/** What lies aside, as if another boot had written it. */
function ofOtherBoot(aside: Buffer): Buffer {
  const other = Buffer.from(aside);
  for (const at of SLOTS) {
    const slot = other.subarray(at, at + HEAD_BYTES + other.readUInt32LE(at + 4));
    slot.write('another', BOOT_AT, 'latin1');
    slot.writeUInt32LE(crc32(slot.subarray(4)), 0);
  }
  return other;
}

/** All rows are of one version after each round; between rounds they are of two. */
async function round(metastore: EmbeddedMetastore, version: number): Promise<void> {
  for (let i = 0; i < ROWS; i += 100) {
    await metastore.commit(Array.from({ length: 100 }, (_, at) => put(i + at, version)));
  }
}

async function versionsIn(folder: string): Promise<Map<number, number>> {
  const metastore = openLmdb(folder);
  const rows = await metastore.list(ROOT, { limit: ROWS + 1 });
  await metastore.close();
  const groups = Map.groupBy(rows, ({ row }) => row.version);
  return new Map([...groups].map(([version, members]) => [version, members.length]));
}

/** A machine without power keeps what was synced, and of the pages written since any that it pleases. */
function afterPowerFailure(synced: Buffer, latest: Buffer): Buffer {
  const disk = Buffer.alloc(latest.length);
  for (let at = 0; at < latest.length; at += PAGE) {
    const source = at >= synced.length || Math.random() < 0.5 ? latest : synced;
    source.copy(disk, at, at, at + PAGE);
  }
  return disk;
}

describe('a power failure', () => {
  it('leaves the rows as they were at the last sync, whichever pages were written since', async () => {
    const metastore = openLmdb(dir);
    const lost = mkdtempSync(join(tmpdir(), 'leat-power-'));
    let failures = 0;
    try {
      for (let version = 1; version <= ROUNDS; version += 2) {
        await round(metastore, version);
        await metastore.flushed();
        const aside = readFileSync(join(dir, `${FILE}-synced`));
        const synced = readFileSync(join(dir, FILE));
        // Mostly within the delay of the next sync; where it came before, the file aside says so.
        for (let commit = 0; commit < 6; commit++) {
          await metastore.commit(Array.from({ length: 100 }, (_, i) => put(commit * 500 + i, version + 1)));
        }
        const latest = readFileSync(join(dir, FILE));
        if (!readFileSync(join(dir, `${FILE}-synced`)).equals(aside)) continue;

        writeFileSync(join(lost, FILE), afterPowerFailure(synced, latest));
        writeFileSync(join(lost, `${FILE}-synced`), ofOtherBoot(aside));
        expect(await versionsIn(lost)).toEqual(new Map([[version, ROWS]]));
        failures++;
      }
      expect(failures).toBeGreaterThan(0);
    } finally {
      await metastore.close();
      rmSync(lost, { recursive: true });
    }
  });

  it('makes another of the metastore: ids that were lost do not come again', async () => {
    const metastore = openLmdb(dir);
    const { identity } = metastore;
    await metastore.flushed();
    const rows = readFileSync(join(dir, FILE));
    const aside = readFileSync(join(dir, `${FILE}-synced`));
    const lost = Array.from({ length: 25_000 }, () => metastore.newId());
    await metastore.close();
    writeFileSync(join(dir, FILE), rows);
    writeFileSync(join(dir, `${FILE}-synced`), ofOtherBoot(aside));

    const reopened = openLmdb(dir);
    expect(reopened.identity).not.toBe(identity);
    expect(reopened.newId() > (lost.at(-1) ?? '')).toBe(true);
    await reopened.close();
    const again = openLmdb(dir);
    expect(again.identity).toBe(reopened.identity);
    await again.close();
  });

  it('is not taken for one when only the process died', async () => {
    const metastore = openLmdb(dir);
    await metastore.commit([put(1, 1)]);
    expect(restoreSyncedPages(join(dir, FILE))).toBe(false);
    await metastore.flushed();
    await metastore.close();
  });

  it('takes the older of what is kept aside when the newer is torn', async () => {
    const metastore = openLmdb(dir);
    for (const version of [1, 2]) {
      await round(metastore, version);
      await metastore.flushed();
    }
    const aside = readFileSync(join(dir, `${FILE}-synced`));
    copyFileSync(join(dir, FILE), join(dir, 'copy'));
    await metastore.close();
    // The slots hold the syncs of before; either alone will do to open the file.
    for (const at of SLOTS) {
      const torn = ofOtherBoot(aside);
      torn.fill(1, at + 100, at + 200);
      copyFileSync(join(dir, 'copy'), join(dir, FILE));
      writeFileSync(join(dir, `${FILE}-synced`), torn);
      const reopened = openLmdb(dir);
      expect((await reopened.get([{ directory: ROOT, name: nameOf(1) }]))[0]).toBeDefined();
      await reopened.close();
    }
  });

  it('finds nothing aside after a clean end: the file can be copied alone', async () => {
    const metastore = openLmdb(dir);
    await round(metastore, 1);
    await metastore.close();
    expect(existsSync(join(dir, `${FILE}-synced`))).toBe(false);
    expect(await versionsIn(dir)).toEqual(new Map([[1, ROWS]]));
  });
});

describe('syncs', () => {
  it('follow a commit by themselves, and rest when nothing changes', async () => {
    const metastore = openLmdb(dir);
    const aside = () => readFileSync(join(dir, `${FILE}-synced`));
    const before = aside();
    await metastore.commit([put(1, 1)]);
    await expect.poll(() => aside().equals(before), { timeout: 10_000 }).toBe(false);
    const after = aside();
    await metastore.flushed();
    expect(aside()).toEqual(after);
    await metastore.close();
  });

  it('are waited for by strict commits', async () => {
    const metastore = openLmdb(dir, 'strict');
    const aside = () => readFileSync(join(dir, `${FILE}-synced`));
    for (let version = 1; version < 5; version++) {
      const before = aside();
      await metastore.commit([put(1, version)]);
      expect(aside().equals(before)).toBe(false);
      const metas = readFileSync(join(dir, FILE)).subarray(0, 2 * PAGE);
      expect(
        SLOTS.some((at) =>
          aside()
            .subarray(at + HEAD_BYTES, at + HEAD_BYTES + 2 * PAGE)
            .equals(metas),
        ),
      ).toBe(true);
    }
    await metastore.close();
  });
});
