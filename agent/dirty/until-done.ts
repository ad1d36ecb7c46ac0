import { setTimeout as sleep } from 'node:timers/promises';
import { toLeatError } from '#shared/model/faults.ts';

const PAUSE_MS_FIRST = 1000;
const PAUSE_MS_MAX = 60_000;

interface Patience {
  readonly signal: AbortSignal;
  readonly log: (what: string) => void;
}

/** As often as it takes, at longer and longer intervals; until the signal. */
export async function untilDone(act: () => Promise<void>, { signal, log }: Patience): Promise<void> {
  for (let pause = PAUSE_MS_FIRST; ; pause = Math.min(pause * 2, PAUSE_MS_MAX)) {
    try {
      return await act();
    } catch (error) {
      if (signal.aborted) return;
      log(`and is tried again in ${pause / 1000} s: ${toLeatError(error).message}`);
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }
}
