import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openMountStage } from '../support/mounted.ts';
import { run } from '../support/run.ts';
import { startS3Server } from '../support/s3-server.ts';
import { sha256 } from '../support/source-tree.ts';
import { upload } from '../support/upload.ts';

const TRAIN = new URL('./train.py', import.meta.url).pathname;
const CLASSES = 5;
const SAMPLES = 120;
const BYTES_MAX = 60_000;
/** A Debian machine has it by `apt install python3-torch`, others by `pip install torch`. */
const python = ['python3', '/usr/bin/python3'].find((one) => spawnSync(one, ['-c', 'import torch']).status === 0);

it.skipIf(python === undefined)(
  'trains a PyTorch model for two epochs from a bucket, and sees the bytes of the source',
  async () => {
    const stage = await openMountStage();
    const server = await startS3Server();
    try {
      const source = join(stage.folder, 'source');
      const keys = Array.from({ length: CLASSES * SAMPLES }, (_, i) => `class-${i % CLASSES}/sample ${i}.bin`);
      for (const [i, key] of keys.entries()) {
        mkdirSync(join(source, `class-${i % CLASSES}`), { recursive: true });
        // Bytes of a class are alike, so that there is something to learn.
        writeFileSync(
          join(source, key),
          randomBytes(4096 + ((i * 7919) % BYTES_MAX)).fill((i % CLASSES) * 50, 0, 1024),
        );
      }
      const manifest = join(stage.folder, 'manifest');
      writeFileSync(manifest, keys.map((key) => `${sha256(join(source, key))}  ${key}\n`).join(''));
      const bucket = await server.newBucket();
      await upload(server, bucket, source, keys);
      const daemon = await stage.start([`s3://${bucket}`], {
        args: ['--option', `s3.endpoint=${server.endpoint}`],
        env: server.env,
      });
      const { code, stdout, stderr } = await run(python ?? '', [TRAIN, stage.at, manifest]);
      expect(stderr + stdout).toContain(`"samples": ${keys.length}`);
      expect(code).toBe(0);
      const { losses } = JSON.parse(stdout) as { losses: number[] };
      expect(losses[1]).toBeLessThan(losses[0] ?? 0);
      await daemon.stop();
    } finally {
      await stage.clear();
      await server.stop();
    }
  },
);
