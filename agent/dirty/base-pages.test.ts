import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGE_BYTES } from '../cache/page-map.ts';
import { BasePages } from './base-pages.ts';

const PAGES_MAX = 6;
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
        for (const each of steps) {
          if ('cut' in each) {
            pages.changing({ offset: each.cut, length: each.cut % PAGE_BYTES === 0 ? 0 : 1 });
            for (const page of pages.missingIn({ offset: each.cut, length: each.cut % PAGE_BYTES === 0 ? 0 : 1 })) {
              pages.filled(page);
              pages.changing({ offset: page * PAGE_BYTES, length: 1 });
            }
            pages.cutTo(each.cut);
            for (const at of samples(size)) if (at >= each.cut) written.add(at);
            continue;
          }
          const { offset, length } = each.write;
          for (const page of pages.missingAtEnds(each.write)) pages.filled(page);
          pages.changing(each.write);
          pages.changed(each.write);
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
