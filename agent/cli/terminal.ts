import { once } from 'node:events';
import { fromText } from '#shared/model/names.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const INTERRUPTED = 130;

/** What a command sees of the process it runs in. Text goes out as the bytes it stands for, so any name prints as it is. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether a person watches stderr. */
  readonly watched: boolean;
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP; the second ends the process at once. */
  readonly signal: AbortSignal;
  /** Hands those signals to a command that knows better, one call for each. */
  takeSignals(listener: () => void): void;
  out(text: string): void;
  err(text: string): void;
  /** Raw bytes to stdout, at the pace of the reader. */
  pipe(bytes: AsyncIterable<Uint8Array>): Promise<void>;
}

/** The terminal of this very process. */
export function processTerminal(): Terminal {
  const interrupt = new AbortController();
  let onSignal = () => {
    if (interrupt.signal.aborted) process.exit(INTERRUPTED);
    interrupt.abort();
  };
  for (const name of SIGNALS) process.on(name, () => onSignal());
  // A reader that has seen enough (`| head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1);
  });
  const bytesOf = (text: string) => Buffer.from(fromText(text), 'latin1');
  return {
    env: process.env,
    watched: process.stderr.isTTY,
    signal: interrupt.signal,
    takeSignals(listener) {
      onSignal = listener;
    },
    out: (text) => void process.stdout.write(bytesOf(text)),
    err: (text) => void process.stderr.write(bytesOf(text)),
    async pipe(bytes) {
      for await (const piece of bytes) if (!process.stdout.write(piece)) await once(process.stdout, 'drain');
    },
  };
}
