import { spawnSync } from 'node:child_process';
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { cpuSeconds, dropKernelCaches, type Measured } from './measure.ts';
import type { Scenario } from './scenarios.ts';

const MIB = 2 ** 20;
const SEND = new URL('./send.ts', import.meta.url).pathname;

function run(program: string, args: readonly string[], env: Readonly<Record<string, string>>): string {
  const { status, stdout, stderr } = spawnSync(program, args, { env: { ...process.env, ...env }, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Until `close` has answered, which is when the object is in the bucket. */
export const UPLOAD_SCENARIO: Scenario = {
  name: 'large file written to S3, until it is there',
  unit: 'MiB/s',
  async round({ daemon, fixtures, env }) {
    const source = join(fixtures.native, 'big.bin');
    const target = join(daemon.at, 's3', 'written.bin');
    dropKernelCaches();
    const cpu = cpuSeconds(daemon.pid);
    const start = performance.now();
    run('dd', [`if=${source}`, `of=${target}`, 'bs=1M'], {});
    const seconds = (performance.now() - start) / 1000;
    const used = cpuSeconds(daemon.pid) - cpu;
    unlinkSync(target);
    dropKernelCaches();
    const bare = JSON.parse(
      run(process.execPath, [SEND, `s3://${fixtures.bucket}`, source, `sent-${crypto.randomUUID()}`], env),
    ) as Measured;
    return {
      ours: fixtures.bigBytes / MIB / seconds,
      baseline: bare.bytes / MIB / bare.seconds,
      side: `${(used / (fixtures.bigBytes / 2 ** 30)).toFixed(2)} CPU s/GiB`,
    };
  },
};
