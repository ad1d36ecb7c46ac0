import v8 from 'node:v8';
import vm from 'node:vm';
import koffi from 'koffi';

const LOOK_MS = 5000;
/** A period in which the event loop did less than this was an idle one. */
const IDLE_UTILIZATION = 0.02;
const GROWN_BYTES = 8 * 2 ** 20;

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;
const trimMalloc = optional('int malloc_trim(size_t pad)');

/** V8 and malloc keep what they once needed until they need more; this gives it back, and takes some ten milliseconds. */
export function trimMemory(): void {
  collect();
  trimMalloc?.(0);
}

/** Trims the memory of this thread's heap whenever it has grown and there is nothing to do; answers how to end that. */
export function trimWhenIdle(): () => void {
  let before = performance.eventLoopUtilization();
  let trimmedAt = 0;
  const timer = setInterval(() => {
    const { utilization } = performance.eventLoopUtilization(before);
    before = performance.eventLoopUtilization();
    const hasGrown = process.memoryUsage.rss() > trimmedAt + GROWN_BYTES;
    if (utilization > IDLE_UTILIZATION || !hasGrown) return;
    trimMemory();
    trimmedAt = process.memoryUsage.rss();
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Some C libraries lack it. */
function optional(declaration: string): ((pad: number) => number) | undefined {
  try {
    return koffi.load(null).func(declaration) as (pad: number) => number;
  } catch {
    return undefined;
  }
}
