import { mkdtempSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filesIn, objectsIn, startWriting } from '../support/block-writing.ts';
import { makeBlock, type Versions, versionsOf } from '../support/blocks.ts';
import { Ledger, type Step } from '../support/ledger.ts';
import { type MountStage, openMountStage } from '../support/mounted.ts';
import { HAS_STRICT_S3, type S3Server, startS3Server } from '../support/s3-server.ts';
import { randomFrom } from '../support/yielding-metastore.ts';

/** A writer killed at random points: `LEAT_TEST_FULL=1`: 200 times. */
const KILLS = process.env['LEAT_TEST_FULL'] ? 200 : 10;
const LIFE_MS_MAX = 600;
const TIMEOUT_MS = 20_000 + KILLS * 5000;
const SOON = { timeout: 20_000, interval: 100 };
const SEED = Number(process.env['LEAT_TEST_SEED'] ?? Date.now() % 2 ** 31);

type Files = Map<string, Versions>;

describe.skipIf(!HAS_STRICT_S3)('a writer that is killed', { timeout: TIMEOUT_MS }, () => {
  let stage: MountStage;
  let server: S3Server;
  let bucket: string;
  beforeAll(async () => {
    stage = await openMountStage();
    server = await startS3Server();
    bucket = await server.newBucket();
  });
  afterAll(async () => {
    await stage.clear();
    await server.stop();
  });
  const start = () =>
    stage.start([`s3://${bucket}`], { args: ['--option', `s3.endpoint=${server.endpoint}`], env: server.env });

  /** All objects that could be seen while it wrote. */
  async function killAfter(lifeMs: number, folder: string, seed: number): Promise<{ ledger: Ledger; seen: Files[] }> {
    const writing = startWriting(join(stage.at, folder), seed);
    await writing.begun;
    const seen: Files[] = [];
    for (const until = Date.now() + lifeMs; Date.now() < until; await sleep(5))
      seen.push(await objectsIn(server, bucket, `${folder}/`));
    await writing.kill();
    expect(writing.complaint()).toBe('');
    return { ledger: writing.ledger, seen };
  }

  it('loses nothing that it was promised, and leaves only closed versions in the bucket', async () => {
    console.log(`LEAT_TEST_SEED=${SEED}`);
    const random = randomFrom(SEED);
    let daemon = await start();
    const kept: [folder: string, files: Files][] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const folder = `run-${kill}`;
      await mkdir(join(stage.at, folder));
      const { ledger, seen } = await killAfter(random() * LIFE_MS_MAX, folder, SEED + kill);
      const found = await filesIn(join(stage.at, folder));
      expect(ledger.fault(found)).toBeUndefined();
      await expect.poll(() => objectsIn(server, bucket, `${folder}/`), SOON).toEqual(found);
      const strays = seen.flatMap((objects) => [...objects].filter(([, one]) => !ledger.wasClosed(one, found)));
      expect(strays).toEqual([]);
      kept.push([folder, found]);
    }
    await daemon.stop();
    daemon = await start();
    for (const [folder, files] of kept) expect(await filesIn(join(stage.at, folder))).toEqual(files);
    await daemon.stop();
  });
});

describe('the book that is kept of a writer', () => {
  it('agrees with a plain folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'leat-ledger-'));
    const writing = startWriting(folder, SEED);
    while (writing.ledger.steps < 50) await sleep(5);
    await writing.kill();
    expect(writing.ledger.fault(await filesIn(folder))).toBeUndefined();
    await rm(folder, { recursive: true });
  });

  it('finds what is lost, torn, too old, too new or never closed', () => {
    const ledger = new Ledger();
    const does = (step: Step) => [step, 'done'].forEach((line) => ledger.note(JSON.stringify(line)));
    const file = (...versions: number[]) => new Map([['f', versions]]);
    does({ do: 'open', name: 'f', isEmptied: false });
    does({ do: 'write', name: 'f', first: 0, count: 3, version: 1 });
    does({ do: 'close', name: 'f' });
    expect(ledger.fault(file(1, 1, 1))).toBeUndefined();
    const faults = [new Map(), file(1, 1), file(1, 0, 1), file(1, 1, 1, 0), file(1, 2, 1)].map((one) =>
      ledger.fault(one),
    );
    expect(faults).toEqual(faults.map(() => expect.stringContaining('should hold [1×3]')));

    ledger.note(JSON.stringify({ do: 'write', name: 'f', first: 2, count: 2, version: 2 }));
    const parts = [file(1, 1, 1), file(1, 1, 2), file(1, 1, 1, 2), file(1, 1, 2, 2)].map((one) => ledger.fault(one));
    expect(parts).toEqual([undefined, undefined, undefined, undefined]);
    expect(ledger.fault(file(1, 2, 2, 2))).toBeDefined();
    expect(
      [
        [1, 1, 1],
        [1, 1, 2, 2],
      ].map((one) => ledger.wasClosed(one, new Map())),
    ).toEqual([true, false]);
    expect(() => versionsOf(Buffer.concat([makeBlock(1, 0), makeBlock(1, 2)]))).toThrow('block 1 is torn');
  });
});
