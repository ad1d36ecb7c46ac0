import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { filesIn, objectsIn, startWriting } from '../support/block-writing.ts';
import { type MountStage, openMountStage } from '../support/mounted.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { randomFrom } from '../support/yielding-metastore.ts';

/** `LEAT_TEST_FULL=1`: killed 50 times. */
const KILLS = process.env['LEAT_TEST_FULL'] ? 50 : 5;
const LIFE_MS_MAX = 1000;
const TIMEOUT_MS = 30_000 + KILLS * 20_000;
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
  /** Who serves; not who watches over it. */
  const servingPid = () => (JSON.parse(readFileSync(join(stage.data, 'agent.json'), 'utf8')) as { pid: number }).pid;
  const at = (name: string) => join(stage.at, name);

  it('loses no acknowledged write, and sends what it owes once it is back', async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      const daemon = await start();
      const folder = `run-${kill}`;
      await mkdir(at(folder));
      const writing = startWriting(at(folder), SEED + kill);
      await writing.begun;
      await sleep(random() * LIFE_MS_MAX);
      const serving = servingPid();
      await daemon.kill();
      if (serving !== daemon.pid) process.kill(serving, 'SIGKILL');
      await writing.kill();
      const next = await start();
      const found = await filesIn(at(folder));
      expect(writing.ledger.fault(found)).toBeUndefined();
      await expect.poll(() => objectsIn(server, bucket, `${folder}/`), SOON).toEqual(found);
      await next.stop();
    }
  });
});
