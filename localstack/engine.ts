import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LeatError } from '#shared/model/faults.ts';
import { ensureMinistack } from './ministack.ts';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 5000;
const POLL_MS = 50;
const LOG_TAIL_CHARS = 1500;
const NO_ENGINE =
  'the local cloud runs on ministack, which could not be installed: it needs python3 (3.10 or newer, with venv) and PyPI; what went wrong is told above';
/** Each environment of a function is a Node process of 70 MB; more calls at once are turned away with 429, as by AWS. */
const EXECUTORS_MAX = 16;

/** An engine that speaks AWS's APIs on this machine's loopback. */
export interface Engine {
  readonly pid: number;
  readonly port: number;
  readonly endpoint: string;
}

export interface EngineOptions {
  /** Holds its log and what functions unpack; may be removed when the engine has stopped. */
  readonly dir: string;
  readonly port?: number | undefined;
  /** Whether policies are enforced. AWS does; it shows what a role lacks, or has too much of. */
  readonly enforceIam?: boolean | undefined;
}

/** ministack as a process of its own, which outlives this one: `stopEngine` ends it. */
export async function startMinistack({ dir, port, enforceIam = false }: EngineOptions): Promise<Engine> {
  const binary = ensureMinistack();
  if (binary === undefined) throw new LeatError('unsupported', NO_ENGINE);
  const free = port ?? (await freePort());
  await refuseUsed(free);
  const temporary = join(dir, 'tmp');
  mkdirSync(temporary, { recursive: true });
  // Below this checkout, the engine's own runtime would be taken for modules as ours are.
  writeFileSync(join(temporary, 'package.json'), '{"type":"commonjs"}');
  const log = join(dir, 'engine.log');
  const output = openSync(log, 'w');
  const child = spawn(binary, [], {
    cwd: dir,
    // A group of its own: the processes of functions end with it, and Ctrl-C at this terminal does not reach it.
    detached: true,
    stdio: ['ignore', output, output],
    env: {
      // Functions run on the Node of the PATH; nothing else of our environment shall reach them.
      PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
      HOME: process.env['HOME'],
      TMPDIR: temporary,
      GATEWAY_PORT: String(free),
      BIND_HOST: '127.0.0.1',
      MINISTACK_HOST: '127.0.0.1',
      LAMBDA_ACCOUNT_CONCURRENCY: String(EXECUTORS_MAX),
      AUTH: String(enforceIam),
    },
  });
  closeSync(output);
  child.unref();
  writeFileSync(pidFile(dir), String(child.pid ?? ''));
  const engine = { pid: child.pid ?? 0, port: free, endpoint: `http://127.0.0.1:${free}` };
  try {
    await answering(child, engine.endpoint, log);
  } catch (error) {
    await stopEngine(engine.pid);
    throw error;
  }
  return engine;
}

/** The engine that was started with this folder, from the moment on that there was one. */
export function pidOfEngine(dir: string): number | undefined {
  const pid = Number(existsSync(pidFile(dir)) ? readFileSync(pidFile(dir), 'utf8') : undefined);
  return pid > 0 && isEngine(pid) ? pid : undefined;
}

const pidFile = (dir: string) => join(dir, 'engine.pid');

/** Ends the engine and its functions; nothing happens when that process is gone, or is another by now. */
export async function stopEngine(pid: number): Promise<void> {
  if (!isEngine(pid)) return;
  signal(pid, 'SIGTERM');
  for (const until = Date.now() + STOP_TIMEOUT_MS; Date.now() < until && isEngine(pid); await sleep(POLL_MS));
  // Whatever is left of the group, functions in an endless loop included.
  signal(pid, 'SIGKILL');
}

/** Process ids are used again, so the name tells whether it is still the same. */
function isEngine(pid: number): boolean {
  try {
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).includes('ministack');
  } catch {
    return false;
  }
}

export async function isAnswering(endpoint: string): Promise<boolean> {
  return fetch(`${endpoint}/_localstack/health`).then(
    (answer) => answer.ok,
    () => false,
  );
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, name);
  } catch {
    // The whole group has ended.
  }
}

async function answering(child: ChildProcess, endpoint: string, log: string): Promise<void> {
  for (const until = Date.now() + START_TIMEOUT_MS; Date.now() < until; await sleep(POLL_MS)) {
    if (child.exitCode !== null) break;
    if (await isAnswering(endpoint)) return;
  }
  const said = readFileSync(log, 'utf8').slice(-LOG_TAIL_CHARS);
  const how = child.exitCode === null ? `did not answer within ${START_TIMEOUT_MS} ms` : `ended with ${child.exitCode}`;
  throw new LeatError('unavailable', `ministack ${how} at ${endpoint}; at the end of ${log} it says:\n${said}`);
}

/** Two engines on one port would share it silently on some systems, and be told apart by nobody. */
async function refuseUsed(port: number): Promise<void> {
  await listening(port).catch((error: unknown) => {
    throw new LeatError(
      'busy',
      `port ${port} is in use: \`npm run cloud:down\` ends a local cloud of this checkout; for another port, set LEAT_CLOUD_PORT`,
      { cause: error },
    );
  });
}

const freePort = () => listening(0);

function listening(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : port));
    });
  });
}
