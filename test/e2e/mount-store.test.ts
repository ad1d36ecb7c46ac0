import { PutObjectCommand } from '@aws-sdk/client-s3';
import { createHash, randomBytes } from 'node:crypto';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMBEDDED, homeOf, JOINED, LIBFUSE } from '../support/bindings.ts';
import { openMountStage, type MountStage } from '../support/mounted.ts';
import { run } from '../support/run.ts';
import { S3_ENGINES, type S3Server, startS3Server } from '../support/s3-server.ts';
import { startStormyProxy } from '../support/stormy-proxy.ts';

const MIB = 2 ** 20;
const BIG_BYTES = 24 * MIB;

const SERVED = [
  ...S3_ENGINES.map((engine) => ({ engine, binding: EMBEDDED })),
  { engine: S3_ENGINES[0], binding: LIBFUSE },
  { engine: S3_ENGINES[0], binding: JOINED },
];

for (const { engine, binding } of SERVED)
  describe.runIf(binding.isThere)(`a mounted bucket on ${engine}, ${binding.name}`, () => {
    const home = homeOf(binding);
    let stage: MountStage;
    let server: S3Server;
    let bucket: string;
    const at = (name: string) => join(stage.at, name);

    beforeEach(async () => {
      stage = await openMountStage(home);
      server = await startS3Server(engine);
      bucket = await server.newBucket();
    });
    afterEach(async () => {
      await stage.clear();
      await server.stop();
    });

    async function put(key: string, body: Buffer | string): Promise<void> {
      await server.client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
    }

    // With what it takes to reach the store: whoever carries out what the namespace is asked for has to, in a cloud its functions.
    const start = (args: readonly string[] = [], endpoint = server.endpoint) => {
      const options = { ...server.options, 's3.endpoint': endpoint, 's3.outage-patience': '1500' };
      const words = Object.entries(options).flatMap(([name, value]) => ['--option', `${name}=${value}`]);
      return stage.start([`s3://${bucket}`], { args: [...words, ...args] });
    };

    it('shows another version of an object, of the same size, when the store is asked each time', async () => {
      await put('a', 'old bytes');
      const daemon = await start(['--sync', '0']);
      expect(await readFile(at('a'), 'utf8')).toBe('old bytes');
      await put('a', 'new bytes');
      await expect.poll(() => readFile(at('a'), 'utf8'), { timeout: 20_000 }).toBe('new bytes');
      await daemon.stop();
    });

    it('never mixes two versions in one read, and the next open has the new one', async () => {
      const [old, other] = [randomBytes(BIG_BYTES), randomBytes(BIG_BYTES)];
      await put('big', old);
      const daemon = await start();
      const file = await open(at('big'));
      const head = Buffer.alloc(MIB);
      await file.read(head, 0, MIB, 0);
      expect(head.equals(old.subarray(0, MIB))).toBe(true);
      await put('big', other);

      // What was not fetched in time is gone: an error, and not a byte of the other version.
      for (let offset = 0; offset < BIG_BYTES; offset += MIB) {
        const piece = Buffer.alloc(MIB);
        const isRead = await file.read(piece, 0, MIB, offset).then(
          ({ bytesRead }) => bytesRead === MIB,
          () => false,
        );
        expect(!isRead || piece.equals(old.subarray(offset, offset + MIB))).toBe(true);
      }
      await file.close();
      expect(sha256(await readFile(at('big')))).toBe(sha256(other));
      await daemon.stop();
    });

    it('survives an outage: what is cached is read, the rest is EIO and never ENOENT, and all heals', async () => {
      await put('cached/a', 'here');
      await put('not/b', 'there');
      const daemon = await start();
      expect(await readFile(at('cached/a'), 'utf8')).toBe('here');
      expect(await readdir(at('not'))).toEqual(['b']);
      await put('later/c', 'unseen');

      await server.down();
      expect(await readFile(at('cached/a'), 'utf8')).toBe('here');
      expect((await stat(at('not/b'))).size).toBe(5);
      await expect(readFile(at('not/b'))).rejects.toMatchObject({ code: 'EIO' });

      await server.up();
      await expect.poll(() => readFile(at('not/b'), 'utf8').catch(String), { timeout: 20_000 }).toBe('there');
      await daemon.stop();
    });

    it('says EIO for a directory that was never listed while the store is away', async () => {
      await put('deep/file', 'x');
      const daemon = await start();
      expect(await readdir(stage.at)).toEqual(['deep']);
      await server.down();
      await expect(readdir(at('deep'))).rejects.toMatchObject({ code: 'EIO' });
      await expect(stat(at('deep/file'))).rejects.toMatchObject({ code: 'EIO' });
      await server.up();
      await expect.poll(() => readdir(at('deep')).catch(String), { timeout: 20_000 }).toEqual(['file']);
      await daemon.stop();
    });

    it('rides out a storm of 503s without an error for anybody', async () => {
      const proxy = await startStormyProxy(server.endpoint);
      const bodies = Array.from({ length: 60 }, (_, i) => randomBytes(1000 * i));
      for (const [i, body] of bodies.entries()) await put(`d${i % 3}/${i}`, body);
      await put('big', randomBytes(8 * MIB));
      const daemon = await start([], proxy.endpoint);
      proxy.refused = 0.4;
      const lists = await Promise.all([0, 1, 2].map((i) => readdir(at(`d${i}`))));
      expect(lists.flat()).toHaveLength(60);
      const read = await Promise.all(bodies.map((_, i) => readFile(at(`d${i % 3}/${i}`))));
      expect(read.every((bytes, i) => bytes.equals(bodies[i] as Buffer))).toBe(true);
      expect(await readFile(at('big'))).toHaveLength(8 * MIB);
      expect(proxy.count).toBeGreaterThan(20);
      await daemon.stop();
      await proxy.stop();
    });

    it('can be interrupted while it waits for a store that does not answer', async () => {
      await put('slow', randomBytes(BIG_BYTES));
      const daemon = await start();
      await readdir(stage.at);
      await server.down();
      const reader = run('timeout', ['-s', 'INT', '1', 'cat', at('slow')]);
      expect((await reader).code).not.toBe(0);
      expect(await readdir(stage.at)).toEqual(['slow']);
      await daemon.stop();
    });
  });

it('shows a key that is an object and a prefix as a directory, and the object beside it', async () => {
  const stage = await openMountStage();
  const server = await startS3Server('s3rver');
  try {
    const bucket = await server.newBucket();
    for (const [Key, Body] of [
      ['a', 'object'],
      ['a/b', 'below'],
    ] as const) {
      await server.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
    }
    const daemon = await stage.start([`s3://${bucket}`], {
      args: ['--option', `s3.endpoint=${server.endpoint}`],
      env: server.env,
    });
    expect(await readdir(stage.at)).toEqual(['a', 'a.leat-object']);
    expect(await readFile(join(stage.at, 'a/b'), 'utf8')).toBe('below');
    expect(await readFile(join(stage.at, 'a.leat-object'), 'utf8')).toBe('object');
    await daemon.stop();
  } finally {
    await stage.clear();
    await server.stop();
  }
});

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
