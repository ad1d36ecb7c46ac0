import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeatError } from '#shared/model/faults.ts';
import { patternedSource } from '../../test/support/patterned-source.ts';
import { key, readAt, TemporaryCache } from '../../test/support/temporary-cache.ts';
import { isSealed, openSealed, sealedPath } from './sealed.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

let here: TemporaryCache;
beforeEach(() => {
  here = new TemporaryCache();
});
afterEach(() => here.end());

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
    const file = here.start().open(key(1), 100 * MIB, source.fetch);
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
    const file = here.start().open(key(1), 8 * MIB, source.fetch);
    await expect(file.load()).rejects.toBe(failure);
    expect(await file.load()).toBe(true);
    expect(source.asked[1]).toEqual({ offset: 3 * MIB, length: 5 * MIB });
    file.close();
  });

  it('an object that ends too early has changed', async () => {
    const source = patternedSource({ seed: 1, end: 5000 });
    const file = here.start().open(key(1), 10_000, source.fetch);
    await expect(file.read(new Uint8Array(10_000), 0)).rejects.toMatchObject({ kind: 'changed' });
    file.close();
  });

  it('a reader that goes away takes its request along', async () => {
    const cache = here.start();
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
    const file = here.start().open(key(1), MIB, async (_, sink) => {
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
    const cache = here.start({ capacityBytes });
    const read = { seed: 1, size: 100 * MIB, offset: 63 * MIB + 5, length: MIB };
    for (let time = 0; time < 3; time++) expect(await readAt(cache, read)).toMatchObject({ right: true, count: MIB });
    expect(here.diskBytes()).toBeLessThanOrEqual(capacityBytes);
    expect(cache.usage().usedBytes).toBeLessThanOrEqual(capacityBytes);
  });

  it('evicts the oldest and says which', async () => {
    const cache = here.start({ capacityBytes: 4 * MIB });
    for (let seed = 1; seed <= 8; seed++) await readAt(cache, { seed, size: MIB, offset: 0, length: 10 });
    expect(cache.usage()).toMatchObject({ files: 4, usedBytes: 4 * MIB });
    expect(here.evicted).toEqual([key(1), key(2), key(3), key(4)]);
    expect(here.diskBytes()).toBe(4 * MIB);
  });

  it('bounds the number of files', async () => {
    const cache = here.start({ filesMax: 5 });
    for (let seed = 1; seed <= 8; seed++) await readAt(cache, { seed, size: 10, offset: 0, length: 10 });
    expect(cache.usage().files).toBe(5);
  });

  it('a cache without room passes reads on', async () => {
    const read = await readAt(here.start({ capacityBytes: 0 }), {
      seed: 1,
      size: 10 * MIB,
      offset: MIB - 5,
      length: 10,
    });
    expect(read).toEqual({ right: true, count: 10, asked: [{ offset: MIB - 5, length: 10 }] });
  });

  it('shrinks to a new capacity after a restart', async () => {
    const first = here.start();
    for (let seed = 1; seed <= 8; seed++) await readAt(first, { seed, size: MIB, offset: 0, length: 10 });
    await first.close();
    const second = here.start({ capacityBytes: 3 * MIB });
    await readAt(second, { seed: 20, size: 10, offset: 0, length: 10 });
    expect(second.usage().usedBytes).toBeLessThanOrEqual(3 * MIB);
    expect(here.diskBytes()).toBeLessThanOrEqual(3 * MIB);
  });

  it('another metastore does not see the files of this one', async () => {
    const first = here.start();
    await readAt(first, { seed: 1, size: 10, offset: 0, length: 10 });
    await first.close();
    const second = here.start({ identity: 'two' });
    expect(openSealed(here.dir, key(1), 10)).toBeUndefined();
    expect((await readAt(second, { seed: 1, size: 10, offset: 0, length: 10 })).asked).toHaveLength(1);
    expect(readdirSync(here.dir).filter((name) => name.startsWith('wiped-'))).toEqual([]);
  });

  it('drops a content at once, or when its last user closes it', async () => {
    const cache = here.start();
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

it('what a user holds is not evicted, and what finds no room beside it is read all the same', async () => {
  const held = new Set([key(1).id, key(2).id]);
  const cache = here.start({ capacityBytes: 4 * MIB, isHeld: ({ id }) => held.has(id) });
  const source = patternedSource({ seed: 1 });
  const load = async (file: number) => {
    const opened = cache.open(key(file), 1.5 * MIB, source.fetch);
    const isKept = await opened.load();
    expect(await opened.read(new Uint8Array(10), 0)).toBe(10);
    opened.close();
    return isKept;
  };
  expect([await load(1), await load(2), await load(3)]).toEqual([true, true, false]);
  held.delete(key(1).id);
  expect(await load(3)).toBe(true);
  const isHere = (file: number) => isSealed(sealedPath(here.dir, key(file)), 1.5 * MIB);
  expect([isHere(1), isHere(2), isHere(3)]).toEqual([false, true, true]);
});
