import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Fingerprint } from '#shared/model/inode.ts';
import { partRange, partsOf, partWithin } from '#shared/ports/object-parts.ts';
import { PAGE_BYTES, PageMap } from '../cache/page-map.ts';
import { type Base, planPart } from './upload-plan.ts';

const PAGES = 20;

/** Near the border of a page, so that each kind of border comes often. */
const size = fc
  .record({ pages: fc.integer({ min: 0, max: PAGES }), by: fc.integer({ min: -1, max: 1 }) })
  .map(({ pages, by }) => Math.max(0, pages * PAGE_BYTES + by));

const map = fc
  .record({ pages: fc.integer({ min: 0, max: PAGES }), bits: fc.bigInt({ min: 0n, max: 2n ** BigInt(PAGES) - 1n }) })
  .map(({ pages, bits }) => {
    const made = new PageMap(pages);
    for (let page = 0; page < pages; page++) if ((bits >> BigInt(page)) & 1n) made.add(page);
    return made;
  });

const base = fc
  .record({ size, here: map, changed: fc.option(map, { nil: undefined }) })
  .map(({ changed, ...rest }): Base => ({ fingerprint: 'f' as Fingerprint, ...rest, ...(changed && { changed }) }));

/** What the plan is to say of one byte, told in another way. */
function truth({ here, changed }: Base, byte: number): { isHere: boolean; isUnchanged: boolean } {
  const page = Math.floor(byte / PAGE_BYTES);
  const isHere = page >= here.pages || here.has(page);
  const isKnownSame = changed !== undefined && page < changed.pages && !changed.has(page);
  return { isHere, isUnchanged: !isHere || isKnownSame };
}

/** One byte of each page and the ends of it tell for all. */
function* probes(offset: number, length: number): Generator<number> {
  for (let at = offset; at < offset + length; at = (Math.floor(at / PAGE_BYTES) + 1) * PAGE_BYTES) yield at;
  if (length > 0) yield offset + length - 1;
}

it('copies what did not change, and takes each other byte from where it is', () => {
  fc.assert(
    fc.property(size, base, (bytes, from) => {
      for (let part = 1; part <= partsOf(bytes); part++) {
        const { offset, length } = partWithin(part, bytes);
        const plan = planPart(part, { size: bytes, base: from });
        const isCopied =
          offset + length <= from.size && [...probes(offset, length)].every((at) => truth(from, at).isUnchanged);
        expect([plan.length, plan.spans === undefined]).toEqual([length, isCopied]);
        let end = offset;
        for (const span of plan.spans ?? []) {
          const isRight = [...probes(span.offset, span.length)].every(
            (at) => truth(from, at).isHere === (span.from === 'file'),
          );
          expect([span.offset, isRight]).toEqual([end, true]);
          end += span.length;
        }
        expect(end).toBe(isCopied ? offset : offset + length);
      }
    }),
  );
});

it('takes all of a file without a base from the file', () => {
  const { length } = partRange(1);
  expect(planPart(2, { size: length + 5 })).toEqual({
    part: 2,
    length: 5,
    spans: [{ from: 'file', offset: length, length: 5 }],
  });
});
