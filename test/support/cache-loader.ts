import { setImmediate as breathe } from 'node:timers/promises';
import { dataCache } from '#agent/cache/data-cache.ts';
import { sequentialId } from '#shared/model/ids.ts';
import { patternedSource } from './patterned-source.ts';

/**
 * A program to be killed: `cache-loader.ts DIR CAPACITY SIZE…` loads contents 1, 2, … of these sizes, over and over, and
 * prints the bytes that each has in the cache as it goes on.
 */
const [dir = '', capacity = '', ...sizes] = process.argv.slice(2);
const cache = dataCache({
  dir,
  capacityBytes: Number(capacity),
  filesMax: 100_000,
  memoryBytes: 32 * 1024 * 1024,
  identity: 'killed',
  clock: () => performance.timeOrigin + performance.now(),
  onEvicted: () => {},
  log: (message) => console.error(message),
});

async function keepLoading(number: number, size: number): Promise<void> {
  const key = { id: sequentialId(number), generation: 0 };
  for (;;) {
    const file = cache.open(key, size, patternedSource({ seed: number, delayMs: 1 }).fetch);
    if (!(await file.load())) await file.read(new Uint8Array(size), 0);
    file.close();
    // A hit takes no turn of the event loop; without this the others would never have theirs.
    await breathe();
    process.stdout.write(`${number} ${cache.cachedBytes(key)}\n`);
    if (Number(capacity) > size * sizes.length) return;
  }
}

const report = setInterval(() => {
  for (const number of sizes.keys()) {
    const bytes = cache.cachedBytes({ id: sequentialId(number + 1), generation: 0 });
    process.stdout.write(`${number + 1} ${bytes}\n`);
  }
}, 5);
await Promise.all(sizes.map((size, index) => keepLoading(index + 1, Number(size))));
clearInterval(report);
