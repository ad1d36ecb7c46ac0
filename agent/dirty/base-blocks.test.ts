import fc from 'fast-check';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { PAGE_BYTES } from '../cache/page-map.ts';
import { BaseBlocks, type BytesRange, cutRange } from './base-blocks.ts';

const UNITS_MAX = 6;
const TURNS = 50;
const WRITER_MS_MAX = 30_000;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'leat-base-blocks-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Blocks of all sizes, and where they are of that size: a base ends somewhere behind this offset. */
const SIZES = [
  { unit: 4096, from: 0 },
  { unit: 16_384, from: 2 ** 29 + 5 * 16_384 },
  { unit: PAGE_BYTES, from: 2 ** 37 },
];

const nothing = () => {};

describe('the blocks of a base', () => {
  it.each(SIZES)('of $unit bytes are taken for missing or the same while nobody writes there, and no longer', (of) => {
    const { unit, from } = of;
    /** Around the borders of blocks. */
    const place = fc
      .tuple(fc.nat({ max: UNITS_MAX }), fc.constantFrom(-1, 0, 1, unit / 2))
      .map(([number, by]) => Math.max(0, from + number * unit + by));
    const range = fc.tuple(place, place).map(([a, b]) => ({ offset: Math.min(a, b), length: Math.abs(a - b) }));
    const step = fc.oneof(range, place.map(cutRange));
    /** Byte by byte would take too long: what counts are the bytes beside the borders, and one in the middle of each block. */
    function* samples(size: number): Generator<number> {
      for (let at = from; at < size; at += unit) {
        for (const by of [0, 1, unit / 2, unit - 1]) if (at + by < size) yield at + by;
      }
    }
    const isWithin = (at: number, { offset, length }: BytesRange) => at >= offset && at < offset + length;
    const blockOf = (at: number) => ({ offset: Math.floor(at / unit) * unit, length: unit });
    const meets = (a: BytesRange, b: BytesRange) =>
      a.length > 0 && b.length > 0 && a.offset < b.offset + b.length && b.offset < a.offset + a.length;

    fc.assert(
      fc.property(place, fc.boolean(), fc.array(step, { maxLength: 8 }), (size, isHere, changes) => {
        const path = join(folder, 'map');
        const blocks = BaseBlocks.of(path, { size, generation: 3, isHere });
        for (const changed of changes) {
          for (const missing of blocks.missingAtEnds(changed)) blocks.bring(missing, nothing);
          blocks.change(changed, nothing);
        }
        const stateAt = (at: number) => blocks.runs({ offset: at, length: 1 })[0]?.state;
        const wrong = [...samples(size)].filter((at) => {
          if (changes.some((changed) => isWithin(at, changed))) return stateAt(at) !== 'changed';
          return (
            !changes.some((changed) => meets(blockOf(at), changed)) && stateAt(at) !== (isHere ? 'same' : 'missing')
          );
        });
        expect(wrong).toEqual([]);
        const all = { offset: from, length: (UNITS_MAX + 1) * unit };
        const [now, found] = [blocks, BaseBlocks.find(path, Number.MAX_SAFE_INTEGER)].map((each) => each?.runs(all));
        expect(found).toEqual(now);
        expect(now?.reduce((at, run) => (run.offset === at ? at + run.length : Number.NaN), from)).toBe(
          from + all.length,
        );
        blocks.close();
      }),
      { numRuns: unit === PAGE_BYTES ? 100 : 300 },
    );
  });

  it('lose nothing of what one thread writes while the other brings the same blocks', async () => {
    const size = TURNS * PAGE_BYTES;
    const [path, file] = [join(folder, 'both'), join(folder, 'file')];
    const blocks = BaseBlocks.of(path, { size, generation: 1, isHere: false });
    const fd = openSync(file, 'w+');
    const turn = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { memory: blocks.memory, path, file, turn };
    const writer = new Worker(new URL('../../test/support/base-writer.ts', import.meta.url), { workerData });
    // It waits for its turn without an end.
    onTestFinished(() => void writer.terminate());
    await once(writer, 'online');
    const until = Date.now() + WRITER_MS_MAX;
    const base = Buffer.alloc(PAGE_BYTES, 'base');
    for (let page = 0; page < TURNS; page++) {
      while (Atomics.load(turn, 0) < 2 * page + 1) if (Date.now() > until) throw new Error('the writer has stopped');
      Atomics.store(turn, 0, 2 * page + 2);
      const range = { offset: page * PAGE_BYTES, length: PAGE_BYTES };
      blocks.bring(range, ({ offset, length }) => writeSync(fd, base, 0, length, offset));
    }
    await once(writer, 'exit');
    const lost = Array.from({ length: TURNS }, (_, page) => page).filter((page) => {
      const bytes = Buffer.alloc(PAGE_BYTES);
      readSync(fd, bytes, 0, PAGE_BYTES, page * PAGE_BYTES);
      return bytes.includes('base');
    });
    expect(lost).toEqual([]);
    closeSync(fd);
    blocks.close();
  });

  it('are not fetched where they are written whole, and fetched at both ends of what is not', () => {
    const path = join(folder, 'ends');
    const blocks = BaseBlocks.of(path, { size: 3 * 4096 + 5, generation: 1, isHere: false });
    const endsOf = (offset: number, length: number) =>
      blocks.missingAtEnds({ offset, length }).map((block) => [block.offset / 4096, block.length]);
    expect(endsOf(0, 3 * 4096 + 5)).toEqual([]);
    expect(endsOf(1, 2 * 4096)).toEqual([
      [0, 4096],
      [2, 4096],
    ]);
    expect(endsOf(4097, 7)).toEqual([[1, 4096]]);
    expect(endsOf(3 * 4096, 4)).toEqual([[3, 4096]]);
    expect(endsOf(9 * 4096, 4)).toEqual([]);
    expect(endsOf(1, 0)).toEqual([]);
    expect([blocks.isPartial, blocks.isHere({ offset: 0, length: 1 })]).toEqual([true, false]);
    blocks.cutTo(0);
    expect([blocks.isPartial, blocks.isHere({ offset: 0, length: 1 })]).toEqual([false, true]);
    blocks.remove();
    expect(BaseBlocks.find(path, 1)).toBeUndefined();
  });

  it('are those that an agent before this one has written down, by pages', () => {
    const path = join(folder, 'before');
    const header = Buffer.alloc(16);
    header.writeDoubleBE(2.5 * PAGE_BYTES, 0);
    writeFileSync(path, Buffer.concat([header, Buffer.from([1, 2, 0])]));
    const blocks = BaseBlocks.find(path, 2.5 * PAGE_BYTES);
    const runs = blocks?.runs({ offset: 0, length: 3 * PAGE_BYTES }).map(({ state, length }) => [state, length]);
    expect(runs).toEqual([
      ['missing', PAGE_BYTES],
      ['same', PAGE_BYTES],
      ['changed', PAGE_BYTES],
    ]);
  });
});
