import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { detachFrom } from '../fuse/mountpoint.ts';
import { type Given, SOCKET_FD, SUPERVISED, type Told, UPGRADE_CODE } from './protocol.ts';
import { Restarts } from './restarts.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const FORCED_CODE = 130;
const SIGNAL_CODES = 128;

/** Of the mount, which does not end with the agent. */
interface Session {
  readonly at: string;
  readonly device: number;
  readonly memory: number;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Milliseconds since it was ready; undefined: it never was. */
  readonly servedMs: number | undefined;
}

/**
 * What `leat up` is: it starts the agent, hands signals on to it, and keeps the session of its mount. An agent that dies is
 * followed by another at once, which goes on with the session; what is asked meanwhile waits in the kernel. When the supervisor
 * dies, the agent notices and ends.
 */
class Supervisor {
  readonly #words: readonly string[];
  readonly #restarts = new Restarts();
  #session: Session | undefined;
  #child: ChildProcess | undefined;
  #hasServed = false;
  #signals = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
    for (const name of SIGNALS) process.on(name, () => this.#hand(name));
  }

  /** Answers the exit code. */
  async run(): Promise<number> {
    for (;;) {
      const { code, signal, servedMs } = await this.#serve();
      if (servedMs !== undefined) this.#hasServed = true;
      const isUpgrade = code === UPGRADE_CODE && this.#hasServed;
      const isOwnEnd = code === 0 || code === FORCED_CODE || !this.#hasServed;
      if (this.#hasStopped() || (isOwnEnd && !isUpgrade)) return this.#end(code, signal);
      const pauseMs = isUpgrade ? 0 : this.#restarts.afterDeath(servedMs ?? 0);
      if (pauseMs === undefined) return this.#giveUp(code, signal);
      if (!isUpgrade) say(`the agent died (${signal ?? `exit code ${code}`}); another one takes over`);
      await sleep(pauseMs);
      if (this.#hasStopped()) return this.#end(FORCED_CODE, null);
    }
  }

  async #serve(): Promise<Ended> {
    // Without it a mount ends with its agent, and comes back with the next.
    const passing = await import('../fuse/fd-passing.ts').catch(() => undefined);
    const [ours, theirs] = passing?.socketPair() ?? [];
    const child = this.#spawn(theirs);
    if (theirs !== undefined) closeSync(theirs);
    this.#child = child;
    let readyAt: number | undefined;
    child.on('message', (message: Told) => {
      if ('ready' in message) readyAt = performance.now();
      else if (passing && ours !== undefined && this.#child === child)
        this.#take(message.mounted, passing.receiveFds(ours));
    });
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
      child.once('error', () => resolve([1, null]));
      child.once('exit', (...ended) => resolve(ended));
    });
    this.#child = undefined;
    if (ours !== undefined) closeSync(ours);
    return { code, signal, servedMs: readyAt === undefined ? undefined : performance.now() - readyAt };
  }

  /** Of a group of its own: Ctrl-C reaches it by way of us alone, and counts once. */
  #spawn(socket: number | undefined): ChildProcess {
    const session = this.#session && { at: this.#session.at, device: SOCKET_FD + 1, memory: SOCKET_FD + 2 };
    const given: Given = { isSuccessor: this.#hasServed, ...(session && { session }) };
    const kept = this.#session ? [this.#session.device, this.#session.memory] : [];
    return spawn(process.execPath, [...process.execArgv, ...this.#words], {
      detached: true,
      env: { ...process.env, [SUPERVISED]: JSON.stringify(given) },
      stdio: ['ignore', 'inherit', 'inherit', socket ?? 'ignore', ...kept, 'ipc'],
    });
  }

  #take(at: string, [device, memory]: readonly number[]): void {
    if (device === undefined || memory === undefined) return;
    this.#drop();
    this.#session = { at, device, memory };
  }

  #hasStopped(): boolean {
    return this.#signals > 0;
  }

  #hand(signal: NodeJS.Signals): void {
    this.#signals++;
    this.#child?.kill(signal);
  }

  async #end(code: number | null, signal: NodeJS.Signals | null): Promise<number> {
    await this.#unmount(signal !== null);
    return code ?? SIGNAL_CODES + constants.signals[signal ?? 'SIGKILL'];
  }

  async #giveUp(code: number | null, signal: NodeJS.Signals | null): Promise<number> {
    const { at } = this.#session ?? {};
    await this.#unmount(true);
    const how = signal ?? `exit code ${code}`;
    const what = `the agent died ${this.#restarts.deaths} times as soon as it was started (${how}) and is not started again`;
    say(
      `${what}${at === undefined ? '' : `; ${at} is unmounted`}: see what it said above, and start it with \`leat up\``,
    );
    return 1;
  }

  /** Without its last descriptor the session is over, so nobody who uses the mount keeps us. */
  async #unmount(isLeft: boolean): Promise<void> {
    const { at } = this.#session ?? {};
    this.#drop();
    if (isLeft && at !== undefined) await detachFrom(at);
  }

  #drop(): void {
    if (!this.#session) return;
    closeSync(this.#session.device);
    closeSync(this.#session.memory);
    this.#session = undefined;
  }
}

function say(what: string): void {
  process.stderr.write(`leat: ${what}\n`);
}

process.exitCode = await new Supervisor(process.argv.slice(1)).run();
