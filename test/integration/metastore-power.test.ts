import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EmbeddedMetastore } from '#agent/embedded/heap-metastore.ts';
import { restoreSyncedPages } from '#agent/embedded/synced-pages.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import type { Change } from '#shared/ports/metastore.ts';
import { file } from '../contract/metastore.contract.ts';
import { openLmdb } from '../support/metastores.ts';

const PAGE = 4096;
const FILE = 'namespace.mdb';
const ROWS = 3000;
const ROUNDS = 40;
const OTHER_BOOT = '00000000-0000-0000-0000-000000000000';

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
        writeFileSync(join(lost, `${FILE}-synced`), aside);
        expect(restoreSyncedPages(join(lost, FILE), OTHER_BOOT)).toBe(true);
        expect(await versionsIn(lost)).toEqual(new Map([[version, ROWS]]));
        failures++;
      }
      expect(failures).toBeGreaterThan(0);
    } finally {
      await metastore.close();
      rmSync(lost, { recursive: true });
    }
  });

  it('is not taken for one when only the process died', async () => {
    const metastore = openLmdb(dir);
    await metastore.commit([put(1, 1)]);
    expect(restoreSyncedPages(join(dir, FILE))).toBe(false);
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
    for (const at of [0, 131_072]) {
      const torn = Buffer.from(aside);
      torn.fill(1, at + 100, at + 200);
      copyFileSync(join(dir, 'copy'), join(dir, FILE));
      writeFileSync(join(dir, `${FILE}-synced`), torn);
      expect(restoreSyncedPages(join(dir, FILE), OTHER_BOOT)).toBe(true);
      const reopened = openLmdb(dir);
      expect((await reopened.get([{ directory: ROOT, name: nameOf(1) }]))[0]).toBeDefined();
      await reopened.close();
    }
  });

  it('finds nothing aside after a clean end: the file can be copied alone', async () => {
    const metastore = openLmdb(dir);
    await round(metastore, 1);
    await metastore.close();
    expect(restoreSyncedPages(join(dir, FILE), OTHER_BOOT)).toBe(false);
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
      const synced = join(dir, 'synced.mdb');
      copyFileSync(join(dir, FILE), synced);
      writeFileSync(`${synced}-synced`, aside());
      restoreSyncedPages(synced, OTHER_BOOT);
      expect(readFileSync(synced).subarray(0, 2 * PAGE)).toEqual(readFileSync(join(dir, FILE)).subarray(0, 2 * PAGE));
    }
    await metastore.close();
  });
});
