import { randomBytes } from 'node:crypto';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { filesIn, objectsIn, startWriting } from '../support/block-writing.ts';
import { type MountStage, openMountStage } from '../support/mounted.ts';
import { run } from '../support/run.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { upload } from '../support/upload.ts';
import { randomFrom } from '../support/yielding-metastore.ts';

/** `LEAT_TEST_FULL=1`: killed 50 times. */
const KILLS = process.env['LEAT_TEST_FULL'] ? 50 : 5;
/** What is unpacked: in full, more files, and one of many pages. */
const UNPACKED = new URL(process.env['LEAT_TEST_FULL'] ? '../../shared/' : '../../shared/namespace/', import.meta.url)
  .pathname;
const BIG_BYTES = 8 * 2 ** 20;
const LIFE_MS_MAX = 1000;
const TIMEOUT_MS = 60_000 + KILLS * 60_000;
const SOON = { timeout: 30_000, interval: 100 };
const SEED = Number(process.env['LEAT_TEST_SEED'] ?? Date.now() % 2 ** 31);

describe('a daemon that is killed', { timeout: TIMEOUT_MS }, () => {
  let stage: MountStage;
  let server: S3Server;
  let bucket: string;
  const random = randomFrom(SEED);
  beforeEach(async () => {
    console.log(`LEAT_TEST_SEED=${SEED}`);
    stage = await openMountStage();
    server = await startS3Server();
    bucket = await server.newBucket();
  });
  afterEach(async () => {
    await stage.clear();
    await server.stop();
  });
  const start = () =>
    stage.start([`s3://${bucket}`], { args: ['--option', `s3.endpoint=${server.endpoint}`], env: server.env });
  const at = (name: string) => join(stage.at, name);

  it('is not noticed by who unpacks an archive, nor by who reads', async () => {
    const source = join(stage.folder, 'source');
    await cp(UNPACKED, source, { recursive: true });
    await writeFile(join(source, 'big.bin'), randomBytes(BIG_BYTES));
    const archive = join(stage.folder, 'source.tar');
    await run('tar', ['-cf', archive, '-C', source, '.']);
    await upload(server, bucket, source, ['big.bin']);
    const daemon = await start();
    for (let kill = 0; kill < KILLS; kill++) {
      const folder = at(`out-${kill}`);
      await mkdir(folder);
      let isUnpacking = true;
      const unpacked = run('tar', ['-xf', archive, '-C', folder]).finally(() => (isUnpacking = false));
      const comparing = (async () => {
        const differences = [];
        while (isUnpacking) differences.push(await run('cmp', [join(source, 'big.bin'), at('big.bin')]));
        return differences.filter(({ code }) => code !== 0);
      })();
      await sleep(random() * LIFE_MS_MAX);
      await daemon.killAgent();
      expect(await unpacked).toEqual({ code: 0, stdout: '', stderr: '' });
      expect(await comparing).toEqual([]);
      expect(await run('diff', ['-r', source, folder])).toEqual({ code: 0, stdout: '', stderr: '' });
      await rm(folder, { recursive: true });
    }
    await daemon.stop();
  });

  it('and its supervisor too, loses no acknowledged write, and sends what it owes once it is back', async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      const daemon = await start();
      const folder = `run-${kill}`;
      await mkdir(at(folder));
      const writing = startWriting(at(folder), SEED + kill);
      await writing.begun;
      await sleep(random() * LIFE_MS_MAX);
      await daemon.kill();
      await writing.kill();
      const next = await start();
      const found = await filesIn(at(folder));
      expect(writing.ledger.fault(found)).toBeUndefined();
      await expect.poll(() => objectsIn(server, bucket, `${folder}/`), SOON).toEqual(found);
      await next.stop();
    }
  });
});
