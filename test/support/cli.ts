import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCli } from '#agent/cli/run.ts';
import { type Home, OWN_HOME } from './bindings.ts';
import { run, type Ran } from './run.ts';

export const LEAT = new URL('../../agent/leat.js', import.meta.url).pathname;
const READY = 'Ctrl-C stops.';
const START_TIMEOUT_MS = 30_000;
const EVENTS_MS_MAX = 20_000;

/** Runs command lines in this process against the agent of a data directory, and catches what they print. */
export function cliOn(data: string, { watched = false, signal = new AbortController().signal } = {}) {
  return async (...argv: string[]): Promise<Ran> => {
    const printed = { stdout: '', stderr: '' };
    const code = await runCli(
      {
        env: { LEAT_DATA: data },
        watched,
        signal,
        takeSignals: () => {},
        out: (text) => void (printed.stdout += text),
        err: (text) => void (printed.stderr += text),
        async pipe(bytes) {
          for await (const piece of bytes) printed.stdout += Buffer.from(piece).toString('latin1');
        },
      },
      argv,
    );
    return { code, ...printed };
  };
}

/** `leat events …` in this process until it is stopped, as Ctrl-C does. */
export function following(data: string, ...args: string[]) {
  const ctrlC = new AbortController();
  const printed = { stdout: '', stderr: '' };
  const code = runCli(
    {
      env: { LEAT_DATA: data },
      watched: true,
      signal: ctrlC.signal,
      takeSignals: () => {},
      out: (text) => void (printed.stdout += text),
      err: (text) => void (printed.stderr += text),
      pipe: async () => {},
    },
    ['events', ...args],
  );
  return {
    printed,
    code,
    async says(on: keyof typeof printed, text: string | RegExp) {
      for (const until = Date.now() + EVENTS_MS_MAX; Date.now() < until; await sleep(20)) {
        if (printed[on].match(text)) return;
      }
      throw new Error(`it did not say ${text}, but:\n${printed.stdout}\n${printed.stderr}`);
    },
    async stop() {
      ctrlC.abort();
      return code;
    },
  };
}

export interface Up {
  /** Of the supervisor. */
  readonly pid: number;
  /** All that it has printed. */
  output(): string;
  /** Waits until it has printed this. */
  says(text: string | RegExp): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** A folder for a test, and the agents that it starts there; all ends with `clear`, however the test went. */
export interface Stage {
  readonly folder: string;
  /** `leat up …` in a process of its own, once it says that it is ready. */
  up(args: readonly string[], script?: string): Promise<Up>;
  clear(): Promise<void>;
}

export async function openStage(home: Home = OWN_HOME): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-cli-'));
  const children: ChildProcess[] = [];
  const ends: Promise<unknown>[] = [];
  return {
    folder,
    async up(args, script = LEAT) {
      const env = { ...process.env, ...home.env(), LEAT_DATA: join(folder, 'data') };
      const child = spawn(process.execPath, [script, 'up', ...args, ...home.args()], { cwd: folder, env });
      children.push(child);
      const up = watch(child);
      ends.push(up.ended);
      await up.says(READY);
      return up;
    },
    async clear() {
      for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
      for (const at of await mountsBelow(folder)) await unmount(at, { lazy: true });
      // Their agents end by themselves then.
      await Promise.all(ends);
      await home.empty([join(folder, 'data')]);
      await rm(folder, { recursive: true });
    },
  };
}

function watch(child: ChildProcess): Up {
  let output = '';
  const keep = (chunk: Buffer) => void (output += chunk.toString());
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  // `close` comes after all output, also that of the agent.
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? ''));
  });
  return {
    pid: child.pid ?? 0,
    output: () => output,
    ended,
    signal: (name) => void child.kill(name),
    async says(text) {
      for (const until = Date.now() + START_TIMEOUT_MS; Date.now() < until; await sleep(20)) {
        if (typeof text === 'string' ? output.includes(text) : text.test(output)) return;
        if (child.exitCode !== null) break;
      }
      throw new Error(`it did not say ${text}, but:\n${output}`);
    },
  };
}

/** As anybody may do who can mount. */
export function unmount(at: string, { lazy }: { readonly lazy: boolean }): Promise<Ran> {
  if (process.getuid?.() === 0) return run('umount', lazy ? ['-l', at] : [at]);
  return run('fusermount3', [lazy ? '-uz' : '-u', at]);
}

/** As the kernel has them, which a hung mount cannot hinder. */
export async function mountsBelow(folder: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.map((line) => line.split(' ')[4] ?? '').filter((at) => at.startsWith(`${folder}/`));
}
