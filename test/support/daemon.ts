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
  /** Of the agent that serves now; its supervisor is the process that was started. */
  readonly pid: number;
  readonly supervisor: number;
  readonly at: string;
  output(): string;
  /** SIGTERM, and waits; throws with its output when it does not end cleanly. */
  stop(): Promise<void>;
  /** SIGKILL to all of it, and waits: what the end of the machine does. The mount point stays dead until the next start. */
  kill(): Promise<void>;
  /** SIGKILL to the agent alone: what a crash or the OOM killer does. Waits for its successor. */
  killAgent(): Promise<void>;
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
  const supervisor = child.pid ?? 0;
  const killAll = () => {
    // Stopped, it starts no other agent meanwhile.
    child.kill('SIGSTOP');
    const agent = agentPid(options.data) ?? 0;
    if (agent > 0 && parentOf(agent) === supervisor) process.kill(agent, 'SIGKILL');
    child.kill('SIGKILL');
  };
  const fail = (what: string) => new Error(`${what}; the agent said:\n${output}`);

  await mounted(options, child).catch((error: unknown) => {
    killAll();
    throw fail(String(error));
  });
  return {
    get pid() {
      return agentPid(options.data) ?? 0;
    },
    supervisor,
    at: options.at,
    output: () => output,
    async stop() {
      child.kill('SIGTERM');
      const code = await Promise.race([ended, sleep(STOP_TIMEOUT_MS, 'timeout' as const, { ref: false })]);
      if (code === 'timeout') {
        killAll();
        throw fail(`the agent did not stop within ${STOP_TIMEOUT_MS} ms`);
      }
      if (code !== 0) throw fail(`the agent ended with ${code}`);
    },
    async kill() {
      killAll();
      await ended;
    },
    async killAgent() {
      const killed = agentPid(options.data) ?? 0;
      process.kill(killed, 'SIGKILL');
      await served(options, child, killed).catch((error: unknown) => {
        throw fail(String(error));
      });
    },
  };
}

/** Waits for the agent to have written its address, and for its mount to be in the kernel's table. */
async function mounted(options: DaemonOptions, child: ChildProcess): Promise<void> {
  await served(options, child, 0);
  for (const until = Date.now() + START_TIMEOUT_MS; Date.now() < until; await sleep(25)) {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    if (mounts.split('\n').some((line) => line.split(' ')[4] === options.at)) return;
  }
  throw new Error(`nothing mounted at ${options.at} within ${START_TIMEOUT_MS} ms`);
}

/** Waits for an agent of this very process, another one than `before`. */
async function served({ data }: DaemonOptions, child: ChildProcess, before: number): Promise<void> {
  for (const until = Date.now() + START_TIMEOUT_MS; Date.now() < until; await sleep(25)) {
    if (child.exitCode !== null) throw new Error(`the agent ended with ${child.exitCode} before it served`);
    const agent = agentPid(data) ?? before;
    if (agent !== before && parentOf(agent) === child.pid) return;
  }
  throw new Error(`no agent serves ${data} within ${START_TIMEOUT_MS} ms`);
}

/** Undefined: there is no such process. */
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

function agentPid(data: string): number | undefined {
  try {
    return (JSON.parse(readFileSync(join(data, 'agent.json'), 'utf8')) as { pid?: number }).pid;
  } catch {
    return undefined;
  }
}
