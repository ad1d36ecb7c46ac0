import fc from 'fast-check';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { PAGE_BYTES } from '../cache/page-map.ts';
import { BasePages, type BytesRange, cutRange } from './base-pages.ts';

const PAGES_MAX = 6;
const TURNS = 50;
const WRITER_MS_MAX = 30_000;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'leat-base-pages-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Around the borders of pages. */
const place = fc
  .tuple(fc.nat({ max: PAGES_MAX }), fc.constantFrom(-1, 0, 1, PAGE_BYTES / 2))
  .map(([page, by]) => Math.max(0, page * PAGE_BYTES + by));
const range = fc.tuple(place, place).map(([a, b]) => ({ offset: Math.min(a, b), length: Math.abs(a - b) }));
const step = fc.oneof(
  range.map((wanted) => ({ write: wanted }) as const),
  place.map((size) => ({ cut: size }) as const),
);

const nothing = () => {};

/** Byte by byte would take too long: what counts are the bytes beside the borders, and one in the middle of each page. */
function* samples(size: number): Generator<number> {
  for (let page = 0; page <= PAGES_MAX; page++) {
    for (const by of [0, 1, PAGE_BYTES / 2, PAGE_BYTES - 1]) {
      if (page * PAGE_BYTES + by < size) yield page * PAGE_BYTES + by;
    }
  }
}

describe('the pages of a base', () => {
  it('are believed to be the same, or missing, only while nobody has written them', () => {
    fc.assert(
      fc.property(place, fc.boolean(), fc.array(step, { maxLength: 8 }), (size, isHere, steps) => {
        const path = join(folder, 'map');
        const pages = BasePages.of(path, { size, generation: 3, isHere });
        const written = new Set<number>();
        const change = (changed: BytesRange, act = nothing) => {
          for (const page of pages.missingAtEnds(changed)) pages.bring(page, nothing);
          pages.change(changed, act);
        };
        for (const each of steps) {
          if ('cut' in each) change(cutRange(each.cut), () => pages.cutTo(each.cut));
          else change(each.write);
          const { offset, length } = 'cut' in each ? { offset: each.cut, length: Infinity } : each.write;
          for (const at of samples(size)) if (at >= offset && at < offset + length) written.add(at);
        }
        const { here, changed } = pages.maps;
        const after = BasePages.find(path, Number.MAX_SAFE_INTEGER)?.maps;
        pages.close();
        const wrong = [...samples(size)].filter((at) => {
          const page = Math.floor(at / PAGE_BYTES);
          return written.has(at) && !(here.has(page) && changed.has(page));
        });
        expect(wrong).toEqual([]);
        expect(after).toEqual({ here, changed });
      }),
      { numRuns: 300 },
    );
  });

  it('lose nothing of what one thread writes while the other brings the same page', async () => {
    const size = TURNS * PAGE_BYTES;
    const [path, file] = [join(folder, 'both'), join(folder, 'file')];
    const pages = BasePages.of(path, { size, generation: 1, isHere: false });
    const fd = openSync(file, 'w+');
    const turn = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { memory: pages.memory, path, file, turn };
    const writer = new Worker(new URL('../../test/support/page-writer.ts', import.meta.url), { workerData });
    // It waits for its turn without an end.
    onTestFinished(() => void writer.terminate());
    await once(writer, 'online');
    const until = Date.now() + WRITER_MS_MAX;
    const base = Buffer.alloc(PAGE_BYTES, 'base');
    for (let page = 0; page < TURNS; page++) {
      while (Atomics.load(turn, 0) < 2 * page + 1) if (Date.now() > until) throw new Error('the writer has stopped');
      Atomics.store(turn, 0, 2 * page + 2);
      pages.bring(page, () => writeSync(fd, base, 0, base.length, page * PAGE_BYTES));
    }
    await once(writer, 'exit');
    const lost = Array.from({ length: TURNS }, (_, page) => page).filter((page) => {
      const bytes = Buffer.alloc(PAGE_BYTES);
      readSync(fd, bytes, 0, PAGE_BYTES, page * PAGE_BYTES);
      return bytes.includes('base');
    });
    expect(lost).toEqual([]);
    closeSync(fd);
    pages.close();
  });

  it('fetches nothing of what is written whole, and both ends of what is not', () => {
    const pages = BasePages.of(join(folder, 'ends'), { size: 3 * PAGE_BYTES + 5, generation: 1, isHere: false });
    expect(pages.missingAtEnds({ offset: 0, length: 3 * PAGE_BYTES + 5 })).toEqual([]);
    expect(pages.missingAtEnds({ offset: 1, length: 2 * PAGE_BYTES })).toEqual([0, 2]);
    expect(pages.missingAtEnds({ offset: 3 * PAGE_BYTES, length: 4 })).toEqual([3]);
    expect(pages.missingAtEnds({ offset: 9 * PAGE_BYTES, length: 4 })).toEqual([]);
    expect(pages.isPartial).toBe(true);
    pages.cutTo(0);
    expect(pages.isPartial).toBe(false);
    pages.remove();
    expect(BasePages.find(join(folder, 'ends'), 1)).toBeUndefined();
  });
});
