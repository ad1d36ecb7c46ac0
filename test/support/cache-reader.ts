import { dataCache } from '#agent/cache/data-cache.ts';
import { sequentialId } from '#shared/model/ids.ts';
import { matches, patternedSource } from './patterned-source.ts';

/**
 * A program to be run short of something: `cache-reader.ts DIR SIZE…` keeps contents 1, 2, … of these sizes open together,
 * reads all of each twice, and prints as JSON how many were wrong, how many bytes the cache holds and what it complained of.
 */
const [dir = '', ...sizes] = process.argv.slice(2);
const complaints: string[] = [];
const cache = dataCache({
  dir,
  capacityBytes: 1024 * 1024 * 1024,
  filesMax: 100_000,
  memoryBytes: 32 * 1024 * 1024,
  identity: 'short',
  clock: () => performance.timeOrigin + performance.now(),
  onEvicted: () => {},
  log: (message) => complaints.push(message),
});

async function isWrong(index: number, size: number): Promise<boolean> {
  const seed = index + 1;
  const file = cache.open({ id: sequentialId(seed), generation: 0 }, size, patternedSource({ seed }).fetch);
  let wrong = false;
  for (const _ of ['cold', 'warm']) {
    const into = new Uint8Array(size);
    await file.load();
    wrong ||= (await file.read(into, 0)) !== size || !matches(into, seed, 0);
  }
  return wrong;
}

const outcomes = await Promise.all(sizes.map((size, index) => isWrong(index, Number(size))));
console.log(
  JSON.stringify({
    wrong: outcomes.filter(Boolean).length,
    kept: cache.usage().usedBytes,
    complaints: complaints.length,
  }),
);
process.exit();
