import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const PROGRAM = new URL('locker.py', import.meta.url).pathname;

/** A process that locks files. */
export interface Locker {
  readonly pid: number;
  /** A command of `locker.py`, and what became of it. */
  does(command: string): Promise<string>;
  /** As Ctrl-C does, or a crash. */
  end(signal: 'SIGINT' | 'SIGKILL'): Promise<void>;
}

/** Lockers that are gone when the test is. */
export function lockers() {
  const all: ChildProcess[] = [];
  return {
    locker(): Locker {
      const child = spawn('python3', [PROGRAM], { stdio: ['pipe', 'pipe', 'ignore'] });
      all.push(child);
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      return {
        pid: child.pid ?? 0,
        async does(command) {
          child.stdin.write(`${command}\n`);
          const { value } = await lines.next();
          return String(value);
        },
        async end(signal) {
          if (child.exitCode !== null || child.signalCode !== null) return;
          const ended = once(child, 'exit');
          child.kill(signal);
          await ended;
        },
      };
    },
    async clear() {
      for (const child of all.splice(0)) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }
    },
  };
}
