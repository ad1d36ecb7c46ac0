import { rmSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EMBEDDED, LIBFUSE } from '../support/bindings.ts';
import { openMountStage, type MountStage } from '../support/mounted.ts';
import { run } from '../support/run.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { makeSourceTree, type SourceTree } from '../support/source-tree.ts';
import { upload } from '../support/upload.ts';

/** Every byte read through the mount equals the source. `LEAT_TEST_FULL=1`: of 20,000 objects up to 1 GiB, in ten minutes. */
const [COUNT, BIG_BYTES] = process.env['LEAT_TEST_FULL'] ? [20_000, 2 ** 30] : [2000, 2 ** 27];
/** The second driver reads the same way as the first from the cache on: a fifth of them shows that it hands on every byte. */
const SHARES = [
  { binding: EMBEDDED, share: 1 },
  { binding: LIBFUSE, share: 0.2 },
];
const READ_MS_MAX = 600_000;

let stage: MountStage;
let server: S3Server;
let source: string;
let tree: SourceTree;
let bucket: string;

/** What `diff -r` says: nothing. */
async function differences(of: 's3' | 'folder'): Promise<string> {
  const { stdout, stderr } = await run('diff', ['-r', source, join(stage.at, of)]);
  return stdout.slice(0, 2000) + stderr.slice(0, 2000);
}

async function cachedFiles(): Promise<number> {
  const files = await readdir(join(stage.data, 'cache'), { recursive: true, withFileTypes: true }).catch(() => []);
  return files.filter((file) => file.isFile()).length;
}

for (const { binding, share } of SHARES)
  describe.runIf(binding.isThere)(
    `all bytes of a bucket and of a folder, ${binding.name}`,
    { timeout: READ_MS_MAX },
    () => {
      beforeAll(async () => {
        stage = await openMountStage();
        source = join(stage.folder, 'source');
        server = await startS3Server();
        // What the other server can list; the contract of the stores says how it fails at the rest.
        tree = makeSourceTree(source, {
          count: COUNT * share,
          bigBytes: Math.round(BIG_BYTES * share),
          isPlain: server.engine === 's3rver',
        });
        bucket = await server.newBucket();
        await upload(server, bucket, source, tree.keys);
      }, READ_MS_MAX);
      afterAll(async () => {
        await stage.clear();
        await server.stop();
      }, READ_MS_MAX);

      const start = (set: Readonly<Record<string, string>> = {}) =>
        stage.start([`s3=s3://${bucket}`, `folder=${source}`], {
          set: { ...binding.set, ...set },
          args: ['--option', `s3.endpoint=${server.endpoint}`],
          env: server.env,
        });

      it('are the same cold, warm, and after a restart that needs the store no more', async () => {
        let daemon = await start();
        expect(await differences('s3')).toBe('');
        expect(await differences('folder')).toBe('');
        expect(await differences('s3')).toBe('');
        await daemon.stop();

        await server.down();
        daemon = await start();
        expect(await differences('s3')).toBe('');
        await daemon.stop();
        await server.up();
        rmSync(stage.data, { recursive: true });
      });

      it('are the same after kill -9 in the middle of loading', async () => {
        for (const part of [0.1, 0.3, 0.6]) {
          const daemon = await start();
          const reading = differences('s3');
          const enough = (await cachedFiles()) + tree.keys.length * part * 0.3;
          while ((await cachedFiles()) < enough) await sleep(10);
          await daemon.kill();
          await reading;
        }
        const daemon = await start();
        expect(await differences('s3')).toBe('');
        await daemon.stop();
        await rm(stage.data, { recursive: true });
      });

      it('are the same through a cache that holds a tenth of them', async () => {
        const daemon = await start({ 'cache.size': String(Math.floor(tree.bytes / 10)) });
        expect(await differences('s3')).toBe('');
        expect(await differences('s3')).toBe('');
        await daemon.stop();
        await rm(stage.data, { recursive: true });
      });

      it('are the same with the namespace in memory, and in the training profile', async () => {
        const daemon = await start({ metastore: 'heap', 'fuse.profile': 'training' });
        expect(await differences('folder')).toBe('');
        await expect(readFile(join(stage.at, 'folder', 'nothing'))).rejects.toThrow('ENOENT');
        await daemon.stop();
        await rm(stage.data, { recursive: true });
      });
    },
  );
