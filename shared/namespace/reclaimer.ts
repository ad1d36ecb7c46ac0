import type { Context } from './context.ts';
import { reclaim } from './trash.ts';

const PAUSE_MS = 5000;

/** Empties the trash behind, for as long as the namespace runs. */
export function runReclaimer(context: Context): { wake(): void; stop(): Promise<void> } {
  let isStopped = false;
  let wake = () => {};
  const loop = async () => {
    while (!isStopped) {
      await reclaim(context, () => isStopped).catch((error: unknown) =>
        context.log(`reclaiming removed trees failed, and is tried again: ${String(error)}`),
      );
      const woken = new Promise<void>((resolve) => (wake = resolve));
      if (!isStopped) await Promise.race([woken, context.sleep(PAUSE_MS)]);
    }
  };
  const done = loop();
  return {
    wake: () => wake(),
    async stop() {
      isStopped = true;
      wake();
      await done;
    },
  };
}
