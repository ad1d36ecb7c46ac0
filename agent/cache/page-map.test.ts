import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PageMap, PAGE_BYTES } from './page-map.ts';
import { decodeTrailer, encodeTrailer, partLength, bitmapOffset } from './part-trailer.ts';

describe('a page map', () => {
  it('is a set of pages', () => {
    const act = fc.tuple(fc.boolean(), fc.nat(69));
    fc.assert(
      fc.property(fc.array(act), fc.nat(70), fc.nat(70), (acts, a, b) => {
        const map = new PageMap(70);
        const model = new Set<number>();
        for (const [add, page] of acts) {
          if (add) map.add(page);
          else map.delete(page);
          if (add) model.add(page);
          else model.delete(page);
        }
        const [first, end] = [Math.min(a, b), Math.max(a, b)];
        const range = Array.from({ length: end - first }, (_, i) => first + i);
        expect(map.count).toBe(model.size);
        expect(map.nextMissing(first, end)).toBe(range.find((page) => !model.has(page)) ?? end);
        expect(map.countIn(first, end)).toBe(range.filter((page) => model.has(page)).length);
        expect(new PageMap(70, map.bits.slice()).count).toBe(model.size);
      }),
    );
  });

  it('knows that the last page is short', () => {
    const map = new PageMap(2);
    map.add(1);
    expect(map.bytes(PAGE_BYTES + 10)).toBe(10);
  });
});

describe('a trailer', () => {
  const size = 1000 * PAGE_BYTES + 1;

  it('comes back as it was written', () => {
    const map = new PageMap(1001);
    for (const page of [0, 7, 8, 1000]) map.add(page);
    const bytes = encodeTrailer(size, map, true);
    expect(bitmapOffset(size) + bytes.length).toBe(partLength(size));
    expect(decodeTrailer(bytes, size)).toEqual({ size, open: true, thisBoot: true, map });
  });

  it('of another content, cut or overwritten, is none', () => {
    const bytes = encodeTrailer(size, new PageMap(1001), false);
    expect(decodeTrailer(bytes, size + 1)).toBeUndefined();
    expect(decodeTrailer(bytes.subarray(1), size)).toBeUndefined();
    expect(decodeTrailer(bytes.fill(0, -20), size)).toBeUndefined();
    expect(decodeTrailer(new Uint8Array(0), size)).toBeUndefined();
  });
});
