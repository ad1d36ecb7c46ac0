import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Done, Load } from './load.ts';

const LOAD = new URL('./load.ts', import.meta.url).pathname;
const TICKS_PER_SECOND = 100; // USER_HZ, which Linux has fixed for user space

export interface Measured extends Done {
  readonly seconds: number;
  /** Of the process under test, user and system; 0 without one. */
  readonly cpuSeconds: number;
}

/** Runs the load in `processes` fresh processes at once; the clock runs from the first `go` to the last answer. */
export async function measure(load: Load, processes: number, pid?: number): Promise<Measured> {
  const children = Array.from({ length: processes }, () => fork(LOAD));
  try {
    await Promise.all(children.map((child) => once(child, 'message')));
    const cpu = pid ? cpuSeconds(pid) : 0;
    const start = performance.now();
    const answers = await Promise.all(
      children.map((child, index) => ask(child, { load, share: { index, of: processes } })),
    );
    const seconds = (performance.now() - start) / 1000;
    return {
      seconds,
      cpuSeconds: pid ? cpuSeconds(pid) - cpu : 0,
      operations: answers.reduce((sum, done) => sum + done.operations, 0),
      bytes: answers.reduce((sum, done) => sum + done.bytes, 0),
    };
  } finally {
    for (const child of children) child.kill();
  }
}

async function ask(child: ChildProcess, message: object): Promise<Done> {
  const answer = Promise.race([once(child, 'message'), once(child, 'exit').then(() => [undefined])]);
  child.send(message);
  const [done] = (await answer) as [Done | undefined];
  if (!done) throw new Error(`a load process died: ${JSON.stringify(message)}`);
  return done;
}

/** `ls -l` as users run it, its output thrown away. */
export function listLong(directory: string, entries: number, pid?: number): Measured {
  const cpu = pid ? cpuSeconds(pid) : 0;
  const start = performance.now();
  const { status } = spawnSync('ls', ['-l', directory], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`ls -l ${directory} ended with ${status}`);
  const seconds = (performance.now() - start) / 1000;
  return { seconds, operations: entries, bytes: 0, cpuSeconds: pid ? cpuSeconds(pid) - cpu : 0 };
}

/** Page cache, dentries and inodes, of ext4 and of the mount alike. */
export function dropKernelCaches(): void {
  spawnSync('sync');
  writeFileSync('/proc/sys/vm/drop_caches', '3');
}

export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

export const operationsPerSecond = ({ operations, seconds }: Measured) => operations / seconds;
export const mebibytesPerSecond = ({ bytes, seconds }: Measured) => bytes / 2 ** 20 / seconds;
export const cpuPerOperation = ({ cpuSeconds: cpu, operations }: Measured) =>
  `${Math.round((cpu / operations) * 1e6)} µs CPU each`;
export const cpuPerGiB = ({ cpuSeconds: cpu, bytes }: Measured) => `${(cpu / (bytes / 2 ** 30)).toFixed(2)} CPU s/GiB`;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
