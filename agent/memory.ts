import v8 from 'node:v8';
import vm from 'node:vm';

const LOOK_MS = 5000;
/** A period in which the event loop did less than this was an idle one. */
const IDLE_UTILIZATION = 0.02;
const GROWN_BYTES = 8 * 2 ** 20;

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;
const trimMalloc = await mallocTrim();

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

/** Some C libraries lack it, and some platforms koffi. */
async function mallocTrim(): Promise<((pad: number) => number) | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    return koffi.load(null).func('int malloc_trim(size_t pad)') as (pad: number) => number;
  } catch {
    return undefined;
  }
}
