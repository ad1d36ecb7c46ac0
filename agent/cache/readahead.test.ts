import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAGE_BYTES } from './page-map.ts';
import type { Stream } from './readahead.ts';
import { advance, FETCH_PAGES_MAX, planFetches, UNREAD } from './readahead.ts';

const WINDOW_MAX = 64 * PAGE_BYTES;
const KIB_128 = 128 * 1024;

function windowAfter(offsets: readonly number[]): number {
  let stream: Stream = UNREAD;
  for (const offset of offsets) stream = advance(stream, { offset, length: KIB_128 }, WINDOW_MAX);
  return stream.windowBytes / PAGE_BYTES;
}

describe('the readahead window', () => {
  const inARow = (count: number) => Array.from({ length: count }, (_, i) => i * KIB_128);

  it('opens with the second read in a row and doubles with every page', () => {
    expect([1, 2, 7, 8, 16, 24].map((count) => windowAfter(inARow(count)))).toEqual([0, 1, 1, 2, 4, 8]);
  });

  it('has an end', () => expect(windowAfter(inARow(1000))).toBe(64));

  it('stays shut for a random reader', () => {
    expect(windowAfter([5, 900, 40, 300, 77].map((page) => page * PAGE_BYTES))).toBe(0);
  });

  it('stays open when the kernel sends its reads out of order', () => {
    const [a = 0, b = 0, c = 0, d = 0] = inARow(4);
    expect(windowAfter([a, b, d, c])).toBe(1);
  });
});

describe('the plan of fetches', () => {
  it('asks for each missing page of the need once, for no page that is here, and for nothing beyond the window', () => {
    const input = fc.record({
      here: fc.array(fc.nat(40)),
      first: fc.nat(20),
      length: fc.integer({ min: 1, max: 6 }),
      ahead: fc.nat(20),
    });
    fc.assert(
      fc.property(input, ({ here, first, length, ahead }) => {
        const needed = { first, end: first + length };
        const aheadEnd = needed.end + ahead;
        const plan = planFetches({ needed, aheadEnd, pages: 50 }, (page) => !here.includes(page));
        const asked = plan.flatMap((range) =>
          Array.from({ length: range.end - range.first }, (_, i) => range.first + i),
        );
        expect(new Set(asked).size).toBe(asked.length);
        expect(asked.some((page) => here.includes(page) || page < first || page >= aheadEnd)).toBe(false);
        expect(plan.every((range) => range.end - range.first <= FETCH_PAGES_MAX)).toBe(true);
        for (let page = first; page < needed.end; page++) expect(asked.includes(page)).toBe(!here.includes(page));
      }),
    );
  });

  it('waits until a request ahead is worth its round trip', () => {
    const plan = (present: number) =>
      planFetches({ needed: { first: 0, end: 1 }, aheadEnd: 33, pages: 100 }, (page) => page >= present);
    expect(plan(30)).toEqual([]);
    expect(plan(25)).toEqual([{ first: 25, end: 33 }]);
  });

  it('does not wait at the end of the content', () => {
    const plan = planFetches({ needed: { first: 0, end: 1 }, aheadEnd: 33, pages: 33 }, (page) => page >= 32);
    expect(plan).toEqual([{ first: 32, end: 33 }]);
  });
});
