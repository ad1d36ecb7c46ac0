import { setTimeout as sleep } from 'node:timers/promises';
import { toLeatError } from '#shared/model/faults.ts';

const PAUSE_MS_FIRST = 1000;
const PAUSE_MS_MAX = 60_000;

/** Ends all pauses at once. */
export class Hurry {
  #abort = new AbortController();

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  now(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
  }
}

interface Patience {
  readonly signal: AbortSignal;
  readonly hurry: Hurry;
  /** Called with what went wrong, and without when it goes on. */
  readonly failed: (why: string | undefined) => void;
}

/** As often as it takes, at longer and longer intervals; until the signal. */
export async function untilDone(act: () => Promise<void>, { signal, hurry, failed }: Patience): Promise<void> {
  for (let pause = PAUSE_MS_FIRST; ; pause = Math.min(pause * 2, PAUSE_MS_MAX)) {
    try {
      await act();
      return failed(undefined);
    } catch (error) {
      if (signal.aborted) return;
      failed(toLeatError(error).message);
      await sleep(pause, undefined, { signal: AbortSignal.any([signal, hurry.signal]) }).catch(() => undefined);
    }
  }
}
