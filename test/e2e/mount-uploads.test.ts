import { GetObjectCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type MountStage, openMountStage } from '../support/mounted.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { versitygw } from '../support/versitygw.ts';

const MIB = 1 << 20;
const PATIENT = { timeout: 40_000 };
const SIZE = 56 * MIB;
const REWRITES = 40;

let server: S3Server;
let bucket: string;
let stage: MountStage;
const start = () =>
  stage.start([`s3=s3://${bucket}`], { args: ['--option', `s3.endpoint=${server.endpoint}`], env: server.env });

async function underWay(): Promise<number> {
  const { Uploads = [] } = await server.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  return Uploads.length;
}

const sumOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function objectSum(Key: string): Promise<string | undefined> {
  const { Body } = await server.client.send(new GetObjectCommand({ Bucket: bucket, Key }));
  return Body && sumOf(await Body.transformToByteArray());
}

// s3rver lists no uploads, and knows no conditions.
describe.skipIf(!versitygw())('uploads of a mount', () => {
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    bucket = await server.newBucket();
    stage = await openMountStage();
  });
  afterEach(() => stage.clear());

  it('a file that is rewritten, cut and written on while it is sent is in its bucket as it is in the end', async () => {
    await start();
    const model = Buffer.alloc(SIZE);
    const file = await open(join(stage.at, 's3/f'), 'w');
    const write = async (offset: number, length: number) => {
      const bytes = randomBytes(length);
      bytes.copy(model, offset);
      await file.write(bytes, 0, length, offset);
    };
    for (let offset = 0; offset < SIZE; offset += MIB) await write(offset, MIB);
    await expect.poll(underWay, PATIENT).toBe(1);
    for (let i = 0; i < REWRITES; i++) await write(Math.floor((i * 7919 * MIB) / 13) % (SIZE - MIB), 1000 + i);
    await file.truncate(45 * MIB + 5);
    model.fill(0, 45 * MIB + 5);
    for (let offset = 46 * MIB; offset < SIZE; offset += MIB) await write(offset, MIB);
    await write(3 * MIB - 7, 20);
    await file.close();
    expect(await objectSum('f')).toBe(sumOf(model));
    expect(await underWay()).toBe(0);
  });

  it('nothing of an upload stays in the bucket when the agent is killed, and the file gets there', async () => {
    const daemon = await start();
    const bytes = randomBytes(SIZE);
    const file = await open(join(stage.at, 's3/f'), 'w');
    for (let offset = 0; offset < SIZE; offset += MIB) await file.write(bytes, offset, MIB, offset);
    await expect.poll(underWay, PATIENT).toBe(1);
    await daemon.kill();
    await file.close().catch(() => undefined);
    await start();
    await expect.poll(() => objectSum('f').catch(() => undefined), PATIENT).toBe(sumOf(bytes));
    await expect.poll(underWay, PATIENT).toBe(0);
  });
});
