import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const PERFORMER = new URL('./performer.py', import.meta.url).pathname;

/** What came of an operation: its result, or the name of the errno. */
export interface Outcome {
  readonly came?: unknown;
  readonly errno?: string;
  /** Inodes whose times say less than what was done to them, through mapped memory. */
  readonly late?: readonly string[];
}

/** A process that performs file operations, one after the other; see `performer.py`. */
export interface Performer {
  perform(act: { readonly do: string }): Promise<Outcome>;
  stop(): Promise<void>;
}

export function startPerformer(): Performer {
  const child = spawn('python3', [PERFORMER], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = once(child, 'close');
  return {
    async perform(act) {
      child.stdin.write(`${JSON.stringify(act)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`the performer died of ${JSON.stringify(act)}`);
      return JSON.parse(value) as Outcome;
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
