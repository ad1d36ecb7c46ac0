import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LEAT = new URL('../../agent/leat.js', import.meta.url).pathname;
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 20_000;
const OUTPUT_CHARS_MAX = 64 * 1024;

export interface DaemonOptions {
  /** As on the command line: `URI` or `name=URI`. */
  readonly stores: readonly string[];
  readonly at: string;
  readonly data: string;
  readonly set?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A real agent in a process of its own, as `leat up` starts it. */
export interface Daemon {
  readonly pid: number;
  readonly at: string;
  output(): string;
  /** SIGTERM, and waits; throws with its output when it does not end cleanly. */
  stop(): Promise<void>;
  /** SIGKILL, and waits: what a crash or the OOM killer does. The mount point stays dead until the next start. */
  kill(): Promise<void>;
}

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  await mkdir(options.at, { recursive: true }).catch(() => {
    // A dead mount point cannot even be looked at; `leat up` recovers it.
  });
  const settings = Object.entries(options.set ?? {}).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const child = spawn(
    process.execPath,
    [LEAT, 'up', ...options.stores, '--at', options.at, '--data', options.data, ...settings, ...(options.args ?? [])],
    { env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', resolve);
  });
  const fail = (what: string) => new Error(`${what}; the agent said:\n${output}`);

  await mounted(options, child).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw fail(String(error));
  });
  return {
    pid: child.pid ?? 0,
    at: options.at,
    output: () => output,
    async stop() {
      child.kill('SIGTERM');
      const code = await Promise.race([ended, sleep(STOP_TIMEOUT_MS, 'timeout' as const, { ref: false })]);
      if (code === 'timeout') {
        child.kill('SIGKILL');
        throw fail(`the agent did not stop within ${STOP_TIMEOUT_MS} ms`);
      }
      if (code !== 0) throw fail(`the agent ended with ${code}`);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Waits for the agent of this very process to have written its address, and for its mount to be in the kernel's table. */
async function mounted({ at, data }: DaemonOptions, child: ChildProcess): Promise<void> {
  for (const until = Date.now() + START_TIMEOUT_MS; Date.now() < until; await sleep(25)) {
    if (child.exitCode !== null) throw new Error(`the agent ended with ${child.exitCode} before it had mounted`);
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    if (agentPid(data) === child.pid && mounts.split('\n').some((line) => line.split(' ')[4] === at)) return;
  }
  throw new Error(`nothing mounted at ${at} within ${START_TIMEOUT_MS} ms`);
}

function agentPid(data: string): number | undefined {
  try {
    return (JSON.parse(readFileSync(join(data, 'agent.json'), 'utf8')) as { pid?: number }).pid;
  } catch {
    return undefined;
  }
}
