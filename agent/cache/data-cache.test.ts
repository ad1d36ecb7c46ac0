import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync, closeSync, readSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sequentialId } from '#shared/model/ids.ts';
import { LeatError } from '#shared/model/faults.ts';
import { matches, patternedSource } from '../../test/support/patterned-source.ts';
import type { CacheKey, DataCache, DataCacheOptions } from './data-cache.ts';
import { dataCache } from './data-cache.ts';
import { openSealed, partPath, sealedPath } from './sealed.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

let dir: string;
let caches: DataCache[];
let evicted: CacheKey[];
let logged: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leat-cache-'));
  caches = [];
  evicted = [];
  logged = [];
});

afterEach(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  rmSync(dir, { recursive: true });
});

function start(options: Partial<DataCacheOptions> = {}): DataCache {
  const cache = dataCache({
    dir,
    capacityBytes: 256 * MIB,
    filesMax: 1000,
    memoryBytes: 32 * MIB,
    identity: 'one',
    clock: () => performance.now() + 1e12,
    onEvicted: (gone) => evicted.push(gone),
    log: (message) => logged.push(message),
    ...options,
  });
  caches.push(cache);
  return cache;
}

const key = (number: number, generation = 1): CacheKey => ({ id: sequentialId(number), generation });

async function readAt(cache: DataCache, options: { seed: number; size: number; offset: number; length: number }) {
  const source = patternedSource({ seed: options.seed });
  const file = cache.open(key(options.seed), options.size, source.fetch);
  const into = new Uint8Array(options.length);
  const count = await file.read(into, options.offset);
  file.close();
  return { right: matches(into.subarray(0, count), options.seed, options.offset), count, asked: source.asked };
}

describe('a small file', () => {
  it('is fetched with one request, sealed, and read from the disk from then on', async () => {
    const cache = start();
    const source = patternedSource({ seed: 7 });
    const file = cache.open(key(7), 100 * KIB, source.fetch);
    expect(await file.load()).toBe(true);
    expect(source.asked).toEqual([{ offset: 0, length: 100 * KIB }]);
    const fd = openSealed(dir, key(7), 100 * KIB);
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
    const file = start().open(key(1), 0, source.fetch);
    expect(await file.read(new Uint8Array(10), 0)).toBe(0);
    expect(await file.load()).toBe(true);
    file.close();
    const fd = openSealed(dir, key(1), 0);
    expect(fd).toBeDefined();
    closeSync(fd ?? -1);
    expect(source.asked).toEqual([]);
  });

  it('is fetched once for many that load it at once', async () => {
    const cache = start();
    const source = patternedSource({ seed: 3, delayMs: 5 });
    const files = Array.from({ length: 20 }, () => cache.open(key(3), 300 * KIB, source.fetch));
    expect(await Promise.all(files.map((file) => file.load()))).toEqual(files.map(() => true));
    for (const file of files) file.close();
    expect(source.asked).toHaveLength(1);
  });

  it('is fetched again when its local file was changed, cut or removed', async () => {
    const cache = start();
    const size = 10 * KIB;
    const path = sealedPath(dir, key(5));
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
    const file = start().open(key(5), 200 * KIB, source.fetch);
    await file.load();
    truncateSync(sealedPath(dir, key(5)), 100);
    const into = new Uint8Array(200 * KIB);
    expect(await file.read(into, 0)).toBe(200 * KIB);
    expect(matches(into, 5, 0)).toBe(true);
    file.close();
  });
});

describe('a large file', () => {
  const size = 1024 * MIB;

  it('is not fetched beyond the page that a lone read touches', async () => {
    const read = await readAt(start(), { seed: 1, size, offset: 500 * MIB + 10, length: 4096 });
    expect(read).toEqual({ right: true, count: 4096, asked: [{ offset: 500 * MIB, length: MIB }] });
  });

  it('is fetched ahead of a sequential reader, in requests that grow', async () => {
    const source = patternedSource({ seed: 2 });
    const file = start().open(key(2), 100 * MIB, source.fetch);
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
    const file = start().open(key(4), 64 * MIB, async (range, sink, signal) => {
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
    const cache = start();
    const source = patternedSource({ seed: 6 });
    const file = cache.open(key(6), 100 * MIB + 5, source.fetch);
    expect(await file.load()).toBe(true);
    expect(source.running.most).toBeLessThanOrEqual(8);
    expect(source.asked).toHaveLength(13);
    expect(statSync(sealedPath(dir, key(6))).size).toBe(100 * MIB + 5);
    expect(cache.cachedBytes(key(6))).toBe(100 * MIB + 5);
    file.close();
  });

  it('goes on where it was after a restart', async () => {
    const first = start();
    await readAt(first, { seed: 8, size, offset: 3 * MIB, length: MIB });
    expect(first.cachedBytes(key(8))).toBe(MIB);
    await first.close();
    const second = start();
    expect(second.cachedBytes(key(8))).toBe(MIB);
    const again = await readAt(second, { seed: 8, size, offset: 3 * MIB + 5, length: 1000 });
    expect(again).toEqual({ right: true, count: 1000, asked: [] });
  });

  it('that was tampered with while it was closed is fetched again', async () => {
    const first = start();
    await readAt(first, { seed: 8, size, offset: 0, length: 10 });
    await first.close();
    writeFileSync(partPath(dir, key(8)), 'XX', { flag: 'r+' });
    const again = await readAt(start(), { seed: 8, size, offset: 0, length: 10 });
    expect(again).toMatchObject({ right: true, asked: [{ offset: 0, length: MIB }] });
  });

  it('larger than half of the cache is read through it and not sealed', async () => {
    const cache = start({ capacityBytes: 64 * MIB });
    const source = patternedSource({ seed: 9 });
    const file = cache.open(key(9), 200 * MIB, source.fetch);
    expect(await file.load()).toBe(false);
    const into = new Uint8Array(MIB);
    for (let offset = 0; offset < 200 * MIB; offset += MIB) {
      await file.read(into, offset);
      if (!matches(into.subarray(MIB - 100), 9, offset + MIB - 100)) throw new Error(`wrong bytes at ${offset}`);
      expect(diskBytes()).toBeLessThanOrEqual(64 * MIB);
    }
    file.close();
  });
});

describe('a load', () => {
  it('of a large file into a full cache does not evict its own beginning', async () => {
    const cache = start({ capacityBytes: 300 * MIB });
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
    const small = start({ capacityBytes: 4 * MIB });
    await readAt(small, { seed: 1, size: 3 * MIB, offset: 0, length: 3 * MIB });
    await small.close();
    const large = start();
    const source = patternedSource({ seed: 1 });
    const file = large.open(key(1), 3 * MIB, source.fetch);
    expect(await file.load()).toBe(true);
    expect(source.asked).toEqual([]);
    file.close();
  });
});

describe('a file whose first slices were evicted while it was read', () => {
  it('is not taken to have them by the next process, though this one never closed it', async () => {
    const capacityBytes = 150 * MIB;
    const source = patternedSource({ seed: 1 });
    const file = start({ capacityBytes }).open(key(1), 300 * MIB, source.fetch);
    const into = new Uint8Array(MIB);
    for (let offset = 0; offset < 300 * MIB; offset += MIB) await file.read(into, offset);
    const next = start({ capacityBytes });
    expect(next.cachedBytes(key(1))).toBeLessThanOrEqual(capacityBytes);
    for (const offset of [0, 70 * MIB, 299 * MIB]) {
      expect(await readAt(next, { seed: 1, size: 300 * MIB, offset, length: 5000 })).toMatchObject({ right: true });
    }
    file.close();
  });
});

describe('when a fetch fails', () => {
  const failure = new LeatError('unavailable', 'the store is away');

  it('the readers that need its pages get its error, others do not, and a retry works', async () => {
    let away = true;
    const source = patternedSource({
      seed: 1,
      strike: ({ range }) => {
        if (away && range.offset >= 10 * MIB) throw failure;
      },
    });
    const file = start().open(key(1), 100 * MIB, source.fetch);
    const read = (offset: number) => file.read(new Uint8Array(10), offset);
    const [good, bad, worse] = await Promise.allSettled([read(0), read(20 * MIB), read(20 * MIB + 5)]);
    expect(good.status).toBe('fulfilled');
    expect([bad, worse]).toEqual([
      { status: 'rejected', reason: failure },
      { status: 'rejected', reason: failure },
    ]);
    away = false;
    expect(await read(20 * MIB)).toBe(10);
    file.close();
  });

  it('keeps the pages that came before', async () => {
    const source = patternedSource({
      seed: 1,
      strike: ({ number, sent }) => {
        if (number === 1 && sent >= 3 * MIB) throw failure;
      },
    });
    const file = start().open(key(1), 8 * MIB, source.fetch);
    await expect(file.load()).rejects.toBe(failure);
    expect(await file.load()).toBe(true);
    expect(source.asked[1]).toEqual({ offset: 3 * MIB, length: 5 * MIB });
    file.close();
  });

  it('an object that ends too early has changed', async () => {
    const source = patternedSource({ seed: 1, end: 5000 });
    const file = start().open(key(1), 10_000, source.fetch);
    await expect(file.read(new Uint8Array(10_000), 0)).rejects.toMatchObject({ kind: 'changed' });
    file.close();
  });

  it('a reader that goes away takes its request along', async () => {
    const cache = start();
    const source = patternedSource({ seed: 1, delayMs: 20 });
    const file = cache.open(key(1), 500 * KIB, source.fetch);
    const controller = new AbortController();
    const reading = file.read(new Uint8Array(10), 0, controller.signal);
    controller.abort();
    await expect(reading).rejects.toMatchObject({ kind: 'interrupted' });
    file.close();
    expect(cache.usage().usedBytes).toBe(0);
  });

  it('a store that goes on sending to nobody is stopped', async () => {
    const controller = new AbortController();
    const { promise: stopped, resolve: stop } = Promise.withResolvers<unknown>();
    const file = start().open(key(1), MIB, async (_, sink) => {
      sink(new Uint8Array(10));
      controller.abort();
      await Promise.resolve(new Uint8Array(10)).then(sink).catch(stop);
    });
    await expect(file.read(new Uint8Array(10), 0, controller.signal)).rejects.toMatchObject({ kind: 'interrupted' });
    expect(await stopped).toMatchObject({ kind: 'interrupted' });
    file.close();
  });
});

describe('the limits', () => {
  it('making room for one slice does not evict the other that the same request is to fill', async () => {
    // Room for two pages and for what one slice takes besides, but not for two slices.
    const capacityBytes = 2 * MIB + 12 * KIB;
    const cache = start({ capacityBytes });
    const read = { seed: 1, size: 100 * MIB, offset: 63 * MIB + 5, length: MIB };
    for (let time = 0; time < 3; time++) expect(await readAt(cache, read)).toMatchObject({ right: true, count: MIB });
    expect(diskBytes()).toBeLessThanOrEqual(capacityBytes);
    expect(cache.usage().usedBytes).toBeLessThanOrEqual(capacityBytes);
  });

  it('evicts the oldest and says which', async () => {
    const cache = start({ capacityBytes: 4 * MIB });
    for (let seed = 1; seed <= 8; seed++) await readAt(cache, { seed, size: MIB, offset: 0, length: 10 });
    expect(cache.usage()).toMatchObject({ files: 4, usedBytes: 4 * MIB });
    expect(evicted).toEqual([key(1), key(2), key(3), key(4)]);
    expect(diskBytes()).toBe(4 * MIB);
  });

  it('bounds the number of files', async () => {
    const cache = start({ filesMax: 5 });
    for (let seed = 1; seed <= 8; seed++) await readAt(cache, { seed, size: 10, offset: 0, length: 10 });
    expect(cache.usage().files).toBe(5);
  });

  it('a cache without room passes reads on', async () => {
    const read = await readAt(start({ capacityBytes: 0 }), { seed: 1, size: 10 * MIB, offset: MIB - 5, length: 10 });
    expect(read).toEqual({ right: true, count: 10, asked: [{ offset: MIB - 5, length: 10 }] });
  });

  it('shrinks to a new capacity after a restart', async () => {
    const first = start();
    for (let seed = 1; seed <= 8; seed++) await readAt(first, { seed, size: MIB, offset: 0, length: 10 });
    await first.close();
    const second = start({ capacityBytes: 3 * MIB });
    await readAt(second, { seed: 20, size: 10, offset: 0, length: 10 });
    expect(second.usage().usedBytes).toBeLessThanOrEqual(3 * MIB);
    expect(diskBytes()).toBeLessThanOrEqual(3 * MIB);
  });

  it('another metastore does not see the files of this one', async () => {
    const first = start();
    await readAt(first, { seed: 1, size: 10, offset: 0, length: 10 });
    await first.close();
    const second = start({ identity: 'two' });
    expect(openSealed(dir, key(1), 10)).toBeUndefined();
    expect((await readAt(second, { seed: 1, size: 10, offset: 0, length: 10 })).asked).toHaveLength(1);
    expect(readdirSync(dir).filter((name) => name.startsWith('wiped-'))).toEqual([]);
  });

  it('drops a content at once, or when its last user closes it', async () => {
    const cache = start();
    await readAt(cache, { seed: 1, size: 10, offset: 0, length: 10 });
    cache.drop(key(1));
    expect(cache.usage()).toMatchObject({ files: 0, usedBytes: 0 });
    const file = cache.open(key(1), 10, patternedSource({ seed: 1 }).fetch);
    await file.load();
    cache.drop(key(1));
    expect(cache.cachedBytes(key(1))).toBe(10);
    file.close();
    expect(cache.cachedBytes(key(1))).toBe(0);
  });
});

/** What `du` says of the cached files. */
function diskBytes(): number {
  const BLOCK = 512;
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const cached = files.filter((entry) => entry.name !== 'identity');
  return cached.reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).blocks * BLOCK, 0);
}
