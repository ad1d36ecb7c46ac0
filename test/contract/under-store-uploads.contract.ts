import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import type { LeatError } from '#shared/model/faults.ts';
import type { Fingerprint } from '#shared/model/inode.ts';
import { partRange } from '#shared/ports/object-parts.ts';
import type { ByteRange, PartSource, UnderStore } from '#shared/ports/under-store.ts';
import { get, key, put, type StoreEngine } from '../support/store-engine.ts';

const MIB = 1 << 20;
const FIRST = partRange(1).length;
const ATTRIBUTES = { mode: 0o640, mtime: 1_600_000_000_125_000_000n };

/** A part of one byte over and over, in pieces that are overwritten as soon as the next is asked for. */
function source(length: number, fill: number): PartSource {
  return {
    length,
    async *pieces() {
      const memory = Buffer.alloc(MIB);
      for (let left = length; left > 0; left -= MIB) {
        yield memory.subarray(0, Math.min(MIB, left)).fill(fill);
        memory.fill(~fill);
      }
    },
  };
}

/** Which byte fills each of the ranges; -1 where one range holds several. */
async function fills(store: UnderStore, name: string, ranges: readonly ByteRange[]): Promise<number[]> {
  const found: number[] = [];
  for (const range of ranges) {
    const seen = new Set<number>();
    const expected = createHash('sha1');
    const sum = createHash('sha1');
    await store.read(key(name), range, (bytes) => {
      sum.update(bytes);
      seen.add(bytes[0] ?? -1);
    });
    const [only = -1] = seen;
    const isOne =
      seen.size === 1 && sum.digest('hex') === expected.update(Buffer.alloc(range.length, only)).digest('hex');
    found.push(isOne ? only : -1);
  }
  return found;
}

const kindOf = (error: unknown) => (error as LeatError).kind;

const PARTS = [partRange(1), partRange(2), { offset: 2 * FIRST, length: 5 }];
const SIZE = 2 * FIRST + 5;

export function uploadsContract(engine: StoreEngine): void {
  laying(engine);
  copyingParts(engine);
  conditions(engine);
  ending(engine);
}

function laying({ open, traits }: StoreEngine): void {
  it('makes an object of parts that come in any order, all at once, and again', async () => {
    const store = await open();
    const upload = await store.upload(key('d/large'), { attributes: ATTRIBUTES });
    await Promise.all([
      upload.put(3, Buffer.from('early')),
      upload.put(2, source(FIRST, 2)),
      upload.put(1, Buffer.alloc(FIRST, 9)),
    ]);
    await upload.put(4, Buffer.from('beyond the end'));
    await Promise.all([upload.put(3, Buffer.alloc(5, 3)), upload.put(1, source(FIRST, 1))]);
    expect(await store.stat(key('d/large'))).toBeUndefined();
    const entry = await upload.finish({ size: SIZE, when: 'absent' });
    expect(entry).toMatchObject({ key: 'd/large', kind: 'file', size: SIZE, ...ATTRIBUTES });
    expect(await store.stat(key('d/large'))).toEqual(entry);
    expect(await fills(store, 'd/large', PARTS)).toEqual([1, 2, 3]);
    await upload.abort();
    expect((await store.list(key('d'))).entries.map((one) => one.key)).toEqual(['d/large']);
    expect(await store.stat(key('d/large'))).toEqual(entry);
  });

  it('makes objects of one small part, and of none', async () => {
    const store = await open();
    const small = await store.upload(key('small'));
    await small.put(1, Buffer.from('bytes'));
    expect(await small.finish({ size: 5 })).toMatchObject({ size: 5 });
    expect(await get(store, 'small')).toBe('bytes');
    const empty = await store.upload(key('empty'));
    expect(await empty.finish({ size: 0 })).toMatchObject({ size: 0 });
    expect(await get(store, 'empty')).toBe('');
  });

  it('does not show an object with a part that is missing or too short', async () => {
    const store = await open();
    const upload = await store.upload(key('large'));
    await upload.put(2, Buffer.from('bytes'));
    await expect(upload.finish({ size: FIRST + 5 })).rejects.toThrow(/part 1 of an upload has/);
    await upload.put(1, Buffer.alloc(FIRST));
    await expect(upload.finish({ size: FIRST + 6 })).rejects.toThrow(/part 2 of an upload has/);
    await upload.abort();
    expect(await store.stat(key('large'))).toBeUndefined();
  });

  it('throws what the maker of a part threw as it is, and goes on', async () => {
    const store = await open();
    const upload = await store.upload(key('large'));
    const mine = Object.assign(new Error('the disk of the writer is broken'), { code: 'EIO', syscall: 'read' });
    const broken: PartSource = {
      length: 2 * MIB,
      async *pieces() {
        yield Buffer.alloc(MIB);
        throw mine;
      },
    };
    // Where an upload cannot be aborted, a part that was cut off may go on to be written into the one that takes its place.
    await expect(upload.put(traits.abortsUploads ? 1 : 2, broken)).rejects.toBe(mine);
    await upload.put(1, Buffer.from('bytes'));
    await upload.finish({ size: 5 });
    expect(await get(store, 'large')).toBe('bytes');
  });
}

/** An object of three parts, each of its own byte. */
async function large(store: UnderStore, name: string): Promise<Fingerprint> {
  const upload = await store.upload(key(name), { attributes: ATTRIBUTES });
  for (const [i, { length }] of PARTS.entries()) await upload.put(i + 1, source(length, i + 1));
  return (await upload.finish({ size: SIZE })).fingerprint as Fingerprint;
}

function copyingParts({ open, traits }: StoreEngine): void {
  it('lays parts of the object that is there', async () => {
    const store = await open();
    const base = await large(store, traits.copySource);
    const upload = await store.upload(key(traits.copySource), { base });
    await Promise.all([upload.copy(1, FIRST), upload.copy(3, 5), upload.put(2, source(FIRST, 7))]);
    const entry = await upload.finish({ size: SIZE, when: base });
    expect(entry.fingerprint).not.toBe(base);
    expect(await fills(store, traits.copySource, PARTS)).toEqual([1, 7, 3]);
  });

  it(`${traits.checksConditions ? 'refuses' : 'cannot refuse'} to copy of another version`, async () => {
    const store = await open();
    const base = await large(store, 'large');
    const upload = await store.upload(key('large'), { base });
    const copy = () => upload.copy(1, FIRST).catch(kindOf);
    await put(store, 'large', 'short');
    expect(await copy()).toBe('changed');
    await store.remove(key('large'), 'file');
    expect(await copy()).toBe('changed');
    await put(store, 'large', 'x'.repeat(FIRST));
    expect(await copy()).toBe(traits.checksConditions ? 'changed' : undefined);
    await upload.abort();
  });
}

function conditions({ open, traits }: StoreEngine): void {
  it(`${traits.checksConditions ? 'refuses' : 'cannot refuse'} to end under a condition that does not hold`, async () => {
    const store = await open();
    const first = await put(store, 'a', 'one');
    await put(store, 'a', 'two');
    const ends: unknown[] = [];
    for (const when of ['absent', first.fingerprint as Fingerprint] as const) {
      const upload = await store.upload(key('a'));
      await upload.put(1, Buffer.from('six'));
      ends.push(await upload.finish({ size: 3, when }).catch(kindOf));
      await upload.abort();
    }
    expect(ends).toMatchObject(traits.checksConditions ? ['exists', 'changed'] : [{ size: 3 }, { size: 3 }]);
    expect(await get(store, 'a')).toBe(traits.checksConditions ? 'two' : 'six');
    expect((await store.list(key(''))).entries.map((entry) => entry.key)).toEqual(['a']);
  });

  it('ends under a condition that holds by then', async () => {
    const store = await open();
    const upload = await store.upload(key('a'));
    await upload.put(1, Buffer.from('one'));
    const between = await put(store, 'a', 'two');
    const entry = await upload.finish({ size: 3, when: between.fingerprint as Fingerprint });
    expect(await store.stat(key('a'))).toEqual(entry);
    expect(await get(store, 'a')).toBe('one');
  });
}

function ending({ open, traits }: StoreEngine): void {
  it('leaves nothing of what was aborted, abandoned or interrupted', async () => {
    const store = await open();
    await put(store, 'a', 'kept');
    const aborted = await store.upload(key('a'));
    await aborted.put(1, Buffer.from('bytes'));
    await aborted.abort();
    await aborted.abort();
    const abandoned = await store.upload(key('a'));
    await abandoned.put(1, Buffer.from('bytes'));
    const abandon = () => store.abandonUpload(key('a'), abandoned.id).catch(kindOf);
    expect([await abandon(), await abandon()]).toEqual(
      traits.abortsUploads ? [undefined, undefined] : ['unsupported', 'unsupported'],
    );
    await abandoned.abort();
    const stop = new AbortController();
    const interrupted = await store.upload(key('a'), { signal: stop.signal });
    stop.abort();
    await expect(interrupted.put(1, source(FIRST, 1))).rejects.toMatchObject({ kind: 'interrupted' });
    await interrupted.abort();
    expect(await get(store, 'a')).toBe('kept');
    expect((await store.list(key(''))).entries.map((entry) => entry.key)).toEqual(['a']);
  });
}
