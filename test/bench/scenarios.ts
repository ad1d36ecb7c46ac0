import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from '../support/daemon.ts';
import type { Fixtures } from './fixtures.ts';
import type { Load } from './load.ts';
import {
  cpuPerGiB,
  cpuPerOperation,
  cpuSeconds,
  dropKernelCaches,
  listLong,
  measure,
  type Measured,
  mebibytesPerSecond,
  operationsPerSecond,
  residentMiB,
} from './measure.ts';
import { UPLOAD_SCENARIO } from './upload-scenario.ts';
import { WRITE_SCENARIOS } from './write-scenarios.ts';

export interface Stage {
  readonly daemon: Daemon;
  readonly data: string;
  readonly fixtures: Fixtures;
  /** For processes that fetch from the S3 server by themselves. */
  readonly env: Readonly<Record<string, string>>;
}

interface Round {
  readonly ours: number;
  readonly baseline: number;
  /** What the daemon spent. */
  readonly side: string;
}

export interface Scenario {
  readonly name: string;
  readonly unit: string;
  readonly profile?: 'training';
  round(stage: Stage): Promise<Round>;
}

const PROCESSES = 4;
const FETCHES_IN_FLIGHT = 8;
const BLOCK_BYTES = 128 * 1024;
const RANDOM_READS = 8000;
const MIB = 2 ** 20;
const IDLE_MS = 10_000;
const LEAT = new URL('../../agent/leat.js', import.meta.url).pathname;
const FETCH = new URL('./fetch.ts', import.meta.url).pathname;

type Caches = 'none' | 'disk' | 'kernel';

/** Which caches hold the data when the clock starts: no cache of ours, our own on the disk, or the kernel's too. */
async function prepare(stage: Stage, caches: Caches, path: string, warmUp: () => Promise<unknown>): Promise<void> {
  if (caches === 'none') leat(stage, 'fs', 'free', path);
  else await warmUp();
  if (caches !== 'kernel') dropKernelCaches();
}

function leat({ data, env }: Stage, ...words: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [LEAT, ...words, '--data', data], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`leat ${words.join(' ')}: ${stderr}`);
}

/** The same load on the mount and on native files, with the same caches. */
async function againstNative(
  stage: Stage,
  { load, processes, caches, path }: { load: (root: string) => Load; processes: number; caches: Caches; path: string },
): Promise<readonly [Measured, Measured]> {
  const { daemon, fixtures } = stage;
  const mounted = load(join(daemon.at, 's3'));
  const native = load(fixtures.native);
  await prepare(stage, caches, path, () => measure(mounted, processes));
  const ours = await measure(mounted, processes, daemon.pid);
  if (caches === 'kernel') await measure(native, processes);
  else dropKernelCaches();
  return [ours, await measure(native, processes)];
}

/** The store's own reader, in a process of its own, into plain files. */
function fetchBare({ fixtures, env, data }: Stage, what: string, inFlight: number): Measured {
  const target = join(data, '..', 'fetched');
  rmSync(target, { recursive: true, force: true });
  dropKernelCaches();
  const args = [FETCH, `s3://${fixtures.bucket}`, what, String(inFlight), target];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Measured;
}

const small = (name: string, caches: 'disk' | 'kernel', profile?: 'training'): Scenario => ({
  name,
  unit: 'files/s',
  ...(profile && { profile }),
  async round(stage) {
    const load = (root: string) =>
      ({ kind: 'small', directory: join(root, 'small'), names: stage.fixtures.smallNames }) as const;
    const [ours, native] = await againstNative(stage, { load, processes: PROCESSES, caches, path: '/s3/small' });
    return { ours: operationsPerSecond(ours), baseline: operationsPerSecond(native), side: cpuPerOperation(ours) };
  },
});

const sequential = (root: string) => ({ kind: 'sequential', file: join(root, 'big.bin'), blockBytes: MIB }) as const;

const random = (name: string, caches: 'none' | 'disk', reads: number): Scenario => ({
  name,
  unit: 'reads/s',
  async round(stage) {
    const size = stage.fixtures.bigBytes;
    const load = (root: string) =>
      ({ kind: 'random', file: join(root, 'big.bin'), blockBytes: BLOCK_BYTES, reads, size }) as const;
    const [ours, native] = await againstNative(stage, { load, processes: PROCESSES, caches, path: '/s3/big.bin' });
    return { ours: operationsPerSecond(ours), baseline: operationsPerSecond(native), side: cpuPerOperation(ours) };
  },
});

function metadata(kind: 'stat' | 'ls -l', count: number): Scenario {
  return {
    name:
      kind === 'stat'
        ? `stat of ${count}, ${PROCESSES} processes, kernel caches dropped`
        : `ls -l of ${count}, kernel caches dropped`,
    unit: 'entries/s',
    async round({ daemon, fixtures }) {
      const many = fixtures.many[count];
      if (!many) throw new Error(`there is no folder of ${count} files`);
      const run = async (directory: string, pid?: number) =>
        kind === 'stat'
          ? measure({ kind, directory, names: many.names }, PROCESSES, pid)
          : listLong(directory, count, pid);
      listLong(join(daemon.at, `many-${count}`), count); // the first touch lists the store
      dropKernelCaches();
      const ours = await run(join(daemon.at, `many-${count}`), daemon.pid);
      dropKernelCaches();
      const native = await run(many.folder);
      return { ours: operationsPerSecond(ours), baseline: operationsPerSecond(native), side: cpuPerOperation(ours) };
    },
  };
}

/** All that is measured, with folders of so many files. */
export const scenariosFor = (many: readonly number[]): readonly Scenario[] => [
  {
    name: 'small files, cold from S3, 4 in flight',
    unit: 'files/s',
    async round(stage) {
      const { daemon, fixtures } = stage;
      const load = { kind: 'small', directory: join(daemon.at, 's3', 'small'), names: fixtures.smallNames } as const;
      await prepare(stage, 'none', '/s3/small', async () => {});
      const ours = await measure(load, PROCESSES, daemon.pid);
      const bare = fetchBare(stage, fixtures.smallNames, PROCESSES);
      return { ours: operationsPerSecond(ours), baseline: operationsPerSecond(bare), side: cpuPerOperation(ours) };
    },
  },
  small('small files, warm (ours on disk, kernel caches dropped)', 'disk'),
  small('small files, hot', 'kernel'),
  small('small files, hot, training profile', 'kernel', 'training'),
  {
    name: 'sequential 1 MiB reads, cold from S3',
    unit: 'MiB/s',
    async round(stage) {
      const { daemon, fixtures } = stage;
      await prepare(stage, 'none', '/s3/big.bin', async () => {});
      const ours = await measure(sequential(join(daemon.at, 's3')), 1, daemon.pid);
      const bare = fetchBare(stage, `big.bin:${fixtures.bigBytes}`, FETCHES_IN_FLIGHT);
      return { ours: mebibytesPerSecond(ours), baseline: mebibytesPerSecond(bare), side: cpuPerGiB(ours) };
    },
  },
  {
    name: 'sequential 1 MiB reads, warm',
    unit: 'MiB/s',
    async round(stage) {
      const [ours, native] = await againstNative(stage, {
        load: sequential,
        processes: 1,
        caches: 'disk',
        path: '/s3/big.bin',
      });
      return { ours: mebibytesPerSecond(ours), baseline: mebibytesPerSecond(native), side: cpuPerGiB(ours) };
    },
  },
  random('random 128 KiB reads, 4 processes, cold (baseline: native)', 'none', RANDOM_READS / 4),
  random('random 128 KiB reads, 4 processes, warm', 'disk', RANDOM_READS),
  ...many.map((count) => metadata('stat', count)),
  ...many.map((count) => metadata('ls -l', count)),
  UPLOAD_SCENARIO,
  ...WRITE_SCENARIOS,
  {
    name: 'resident memory, all of it known (baseline: 150 MiB)',
    unit: 'MiB',
    async round({ daemon }) {
      const before = cpuSeconds(daemon.pid);
      await sleep(IDLE_MS);
      const idle = cpuSeconds(daemon.pid) - before;
      return {
        ours: residentMiB(daemon.pid),
        baseline: 150,
        side: `${idle.toFixed(2)} CPU s in ${IDLE_MS / 1000} s idle`,
      };
    },
  },
];
