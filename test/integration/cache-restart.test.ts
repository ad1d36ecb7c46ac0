import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DataCache } from '#agent/cache/data-cache.ts';
import { dataCache } from '#agent/cache/data-cache.ts';
import { openSealed, sealedPath, SYNCED_STAMP, UNSYNCED_STAMP } from '#agent/cache/sealed.ts';
import { sequentialId } from '#shared/model/ids.ts';
import { matches, patternedSource } from '../support/patterned-source.ts';
import { cacheDiskBytes } from '../support/temporary-cache.ts';

const MIB = 1024 * 1024;
const LOADER = join(import.meta.dirname, '../support/cache-loader.ts');

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leat-cache-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function start(capacityBytes: number): DataCache {
  return dataCache({
    dir,
    capacityBytes,
    filesMax: 100_000,
    memoryBytes: 32 * MIB,
    identity: 'killed',
    clock: () => performance.timeOrigin + performance.now(),
    onEvicted: () => {},
    log: (message) => expect.fail(message),
  });
}

const key = (number: number) => ({ id: sequentialId(number), generation: 0 });

/** Runs the loader until `enough` of what it prints, kills it, and answers the last that it said of each content. */
async function killWhile(capacity: number, sizes: number[], enough: (said: Map<number, number>) => boolean) {
  const child = spawn(process.execPath, [LOADER, dir, `${capacity}`, ...sizes.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = once(child, 'exit');
  const said = new Map<number, number>();
  for await (const line of createInterface({ input: child.stdout })) {
    const [number = 0, bytes = 0] = line.split(' ').map(Number);
    said.set(number, bytes);
    if (enough(said)) break;
  }
  child.kill('SIGKILL');
  const [code] = await gone;
  expect(code).toBeNull();
  return said;
}

async function readWhole(cache: DataCache, number: number, size: number) {
  const source = patternedSource({ seed: number });
  const file = cache.open(key(number), size, source.fetch);
  const into = new Uint8Array(size);
  const count = await file.read(into, 0);
  file.close();
  const fetched = source.asked.reduce((sum, range) => sum + range.length, 0);
  return { right: count === size && matches(into, number, 0), fetched };
}

describe('after kill -9', () => {
  it('a half-loaded file goes on where it was, and every byte is right', async () => {
    const size = 96 * MIB + 12_345;
    const said = await killWhile(256 * MIB, [size], (bytes) => (bytes.get(1) ?? 0) >= 30 * MIB);
    const cache = start(256 * MIB);
    const kept = cache.cachedBytes(key(1));
    expect(kept).toBeGreaterThanOrEqual(said.get(1) ?? 0);
    expect(await readWhole(cache, 1, size)).toEqual({ right: true, fetched: size - kept });
    await cache.close();
  });

  it('in the middle of eviction, every byte is right and the capacity holds', async () => {
    const sizes = [70 * MIB, 3 * MIB, 500_000, 40 * MIB, MIB, 20 * MIB + 1];
    const capacity = 100 * MIB;
    let lines = 0;
    await killWhile(capacity, sizes, () => ++lines > 400);
    const cache = start(capacity);
    for (const [index, size] of sizes.entries()) {
      expect(await readWhole(cache, index + 1, size)).toMatchObject({ right: true });
      expect(cacheDiskBytes(dir)).toBeLessThanOrEqual(capacity);
    }
    await cache.close();
  });
});

describe('stamps', () => {
  it('a clean shutdown leaves files that survive a power loss', async () => {
    const cache = start(10 * MIB);
    await readWhole(cache, 1, 1000);
    expect(statSync(sealedPath(dir, key(1))).mtimeMs).toBe(UNSYNCED_STAMP * 1000);
    await cache.close();
    expect(statSync(sealedPath(dir, key(1))).mtimeMs).toBe(SYNCED_STAMP * 1000);
    const fd = openSealed(dir, key(1), 1000) ?? -1;
    expect(fd).toBeGreaterThan(0);
    closeSync(fd);
  });

  it('a seal of another boot is broken: a power loss may have left holes', async () => {
    const cache = start(10 * MIB);
    await readWhole(cache, 1, 1000);
    await cache.close();
    utimesSync(sealedPath(dir, key(1)), UNSYNCED_STAMP + 1, UNSYNCED_STAMP + 1);
    expect(openSealed(dir, key(1), 1000)).toBeUndefined();
    const next = start(10 * MIB);
    expect(await readWhole(next, 1, 1000)).toEqual({ right: true, fetched: 1000 });
    await next.close();
  });
});
