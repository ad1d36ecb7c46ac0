import { closeSync, readSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { matches, patternedSource } from '../../test/support/patterned-source.ts';
import { key, readAt, TemporaryCache } from '../../test/support/temporary-cache.ts';
import { openSealed, partPath, sealedPath } from './sealed.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

let here: TemporaryCache;
beforeEach(() => {
  here = new TemporaryCache();
});
afterEach(() => here.end());

describe('a small file', () => {
  it('is fetched with one request, sealed, and read from the disk from then on', async () => {
    const cache = here.start();
    const source = patternedSource({ seed: 7 });
    const file = cache.open(key(7), 100 * KIB, source.fetch);
    expect(await file.load()).toBe(true);
    expect(source.asked).toEqual([{ offset: 0, length: 100 * KIB }]);
    const fd = openSealed(here.dir, key(7), 100 * KIB);
    const bytes = new Uint8Array(100 * KIB);
    expect(readSync(fd ?? -1, bytes)).toBe(bytes.length);
    closeSync(fd ?? -1);
    expect(matches(bytes, 7, 0)).toBe(true);
    expect(await file.read(bytes, 50 * KIB)).toBe(50 * KIB);
    file.close();
    expect(cache.usage()).toMatchObject({
      files: 1,
      usedBytes: 100 * KIB,
      hitBytes: 50 * KIB,
      fetchedBytes: 100 * KIB,
    });
  });

  it('of no bytes is sealed without a request', async () => {
    const source = patternedSource({ seed: 1 });
    const file = here.start().open(key(1), 0, source.fetch);
    expect(await file.read(new Uint8Array(10), 0)).toBe(0);
    expect(await file.load()).toBe(true);
    file.close();
    const fd = openSealed(here.dir, key(1), 0);
    expect(fd).toBeDefined();
    closeSync(fd ?? -1);
    expect(source.asked).toEqual([]);
  });

  it('is fetched once for many that load it at once', async () => {
    const cache = here.start();
    const source = patternedSource({ seed: 3, delayMs: 5 });
    const files = Array.from({ length: 20 }, () => cache.open(key(3), 300 * KIB, source.fetch));
    expect(await Promise.all(files.map((file) => file.load()))).toEqual(files.map(() => true));
    for (const file of files) file.close();
    expect(source.asked).toHaveLength(1);
  });

  it('is fetched again when its local file was changed, cut or removed', async () => {
    const cache = here.start();
    const size = 10 * KIB;
    const path = sealedPath(here.dir, key(5));
    const spoil = [
      () => writeFileSync(path, Buffer.alloc(size, 1)),
      () => truncateSync(path, 100),
      () => rmSync(path),
      () => rmSync(join(path, '..'), { recursive: true }),
    ];
    for (const act of [() => {}, ...spoil]) {
      await readAt(cache, { seed: 5, size, offset: 0, length: size });
      act();
      expect(await readAt(cache, { seed: 5, size, offset: 0, length: size })).toMatchObject({
        right: true,
        count: size,
      });
    }
  });

  it('that was cut while it is open is fetched again', async () => {
    const source = patternedSource({ seed: 5 });
    const file = here.start().open(key(5), 200 * KIB, source.fetch);
    await file.load();
    truncateSync(sealedPath(here.dir, key(5)), 100);
    const into = new Uint8Array(200 * KIB);
    expect(await file.read(into, 0)).toBe(200 * KIB);
    expect(matches(into, 5, 0)).toBe(true);
    file.close();
  });
});

describe('a large file', () => {
  const size = 1024 * MIB;

  it('is not fetched beyond the page that a lone read touches', async () => {
    const read = await readAt(here.start(), { seed: 1, size, offset: 500 * MIB + 10, length: 4096 });
    expect(read).toEqual({ right: true, count: 4096, asked: [{ offset: 500 * MIB, length: MIB }] });
  });

  it('is fetched ahead of a sequential reader, in requests that grow', async () => {
    const source = patternedSource({ seed: 2 });
    const file = here.start().open(key(2), 100 * MIB, source.fetch);
    const into = new Uint8Array(MIB);
    for (let offset = 0; offset < 100 * MIB; offset += MIB) {
      await file.read(into, offset);
      if (!matches(into.subarray(0, 100), 2, offset)) throw new Error(`wrong bytes at ${offset}`);
    }
    file.close();
    expect(Math.max(...source.asked.map((range) => range.length))).toBe(8 * MIB);
    expect(source.asked.reduce((sum, range) => sum + range.length, 0)).toBe(100 * MIB);
    expect(source.asked.length).toBeLessThan(25);
    expect(source.running.most).toBeGreaterThan(1);
  });

  it('wakes a reader as soon as its page is in', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const source = patternedSource({ seed: 4, chunk: MIB });
    const file = here.start().open(key(4), 64 * MIB, async (range, sink, signal) => {
      await source.fetch({ offset: range.offset, length: MIB }, sink, signal);
      await held;
      await source.fetch({ offset: range.offset + MIB, length: range.length - MIB }, sink, signal);
    });
    const loading = file.load();
    const into = new Uint8Array(MIB);
    expect(await file.read(into, 0)).toBe(MIB);
    release();
    expect(await loading).toBe(true);
    file.close();
  });

  it('is sealed by load, with a bounded number of requests at once', async () => {
    const cache = here.start();
    const source = patternedSource({ seed: 6 });
    const file = cache.open(key(6), 100 * MIB + 5, source.fetch);
    expect(await file.load()).toBe(true);
    expect(source.running.most).toBeLessThanOrEqual(8);
    expect(source.asked).toHaveLength(13);
    expect(statSync(sealedPath(here.dir, key(6))).size).toBe(100 * MIB + 5);
    expect(cache.cachedBytes(key(6))).toBe(100 * MIB + 5);
    file.close();
  });

  it('goes on where it was after a restart', async () => {
    const first = here.start();
    await readAt(first, { seed: 8, size, offset: 3 * MIB, length: MIB });
    expect(first.cachedBytes(key(8))).toBe(MIB);
    await first.close();
    const second = here.start();
    expect(second.cachedBytes(key(8))).toBe(MIB);
    const again = await readAt(second, { seed: 8, size, offset: 3 * MIB + 5, length: 1000 });
    expect(again).toEqual({ right: true, count: 1000, asked: [] });
  });

  it('that was tampered with while it was closed is fetched again', async () => {
    const first = here.start();
    await readAt(first, { seed: 8, size, offset: 0, length: 10 });
    await first.close();
    writeFileSync(partPath(here.dir, key(8)), 'XX', { flag: 'r+' });
    const again = await readAt(here.start(), { seed: 8, size, offset: 0, length: 10 });
    expect(again).toMatchObject({ right: true, asked: [{ offset: 0, length: MIB }] });
  });

  it('larger than half of the cache is read through it and not sealed', async () => {
    const cache = here.start({ capacityBytes: 64 * MIB });
    const source = patternedSource({ seed: 9 });
    const file = cache.open(key(9), 200 * MIB, source.fetch);
    expect(await file.load()).toBe(false);
    const into = new Uint8Array(MIB);
    for (let offset = 0; offset < 200 * MIB; offset += MIB) {
      await file.read(into, offset);
      if (!matches(into.subarray(MIB - 100), 9, offset + MIB - 100)) throw new Error(`wrong bytes at ${offset}`);
      expect(here.diskBytes()).toBeLessThanOrEqual(64 * MIB);
    }
    file.close();
  });
});

describe('a load', () => {
  it('of a large file into a full cache does not evict its own beginning', async () => {
    const cache = here.start({ capacityBytes: 300 * MIB });
    const load = async (seed: number, size: number) => {
      const source = patternedSource({ seed });
      const file = cache.open(key(seed), size, source.fetch);
      const loaded = await file.load();
      file.close();
      return { loaded, fetched: source.asked.reduce((sum, range) => sum + range.length, 0) };
    };
    for (let seed = 1; seed <= 10; seed++) {
      // Used often enough to reach the main queue, and so to fill all but a tenth of the cache.
      for (let use = 0; use < 4; use++) await load(seed, 30 * MIB);
    }
    expect(await load(11, 140 * MIB)).toEqual({ loaded: true, fetched: 140 * MIB });
  });

  it('seals what is all here already', async () => {
    const small = here.start({ capacityBytes: 4 * MIB });
    await readAt(small, { seed: 1, size: 3 * MIB, offset: 0, length: 3 * MIB });
    await small.close();
    const large = here.start();
    const source = patternedSource({ seed: 1 });
    const file = large.open(key(1), 3 * MIB, source.fetch);
    expect(await file.load()).toBe(true);
    expect(source.asked).toEqual([]);
    file.close();
  });
});

describe('a file whose first slices were here.evicted while it was read', () => {
  it('is not taken to have them by the next process, though this one never closed it', async () => {
    const capacityBytes = 150 * MIB;
    const source = patternedSource({ seed: 1 });
    const file = here.start({ capacityBytes }).open(key(1), 300 * MIB, source.fetch);
    const into = new Uint8Array(MIB);
    for (let offset = 0; offset < 300 * MIB; offset += MIB) await file.read(into, offset);
    const next = here.start({ capacityBytes });
    expect(next.cachedBytes(key(1))).toBeLessThanOrEqual(capacityBytes);
    for (const offset of [0, 70 * MIB, 299 * MIB]) {
      expect(await readAt(next, { seed: 1, size: 300 * MIB, offset, length: 5000 })).toMatchObject({ right: true });
    }
    file.close();
  });
});
