import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Fingerprint } from '#shared/model/inode.ts';
import { baseBlocks } from '../../test/support/local-content.ts';
import { PAGE_BYTES } from '../cache/page-map.ts';
import { isInBase, spansOf } from './local-content.ts';

const PAGES = 20;

/** Near the border of a page, so that each kind of border comes often. */
const place = fc
  .record({ pages: fc.integer({ min: 0, max: PAGES }), by: fc.integer({ min: -1, max: 1 }) })
  .map(({ pages, by }) => Math.max(0, pages * PAGE_BYTES + by));
const range = fc.tuple(place, place).map(([a, b]) => ({ offset: Math.min(a, b), length: Math.abs(a - b) }));
const some = fc.array(fc.nat({ max: PAGES }));

/** One byte of each page and the ends of it tell for all. */
function* probes(offset: number, length: number): Generator<number> {
  for (let at = offset; at < offset + length; at = (Math.floor(at / PAGE_BYTES) + 1) * PAGE_BYTES) yield at;
  if (length > 0) yield offset + length - 1;
}

it('copies what did not change, and takes each other byte from where it is', () => {
  fc.assert(
    fc.property(range, place, some, some, (wanted, baseBytes, same, changed) => {
      const base = { fingerprint: 'f' as Fingerprint, blocks: baseBlocks(baseBytes, { same, changed }) };
      const isChanged = (at: number) => {
        const page = Math.floor(at / PAGE_BYTES);
        return page * PAGE_BYTES >= baseBytes || changed.includes(page);
      };
      const isHere = (at: number) => isChanged(at) || same.includes(Math.floor(at / PAGE_BYTES));
      const bytes = [...probes(wanted.offset, wanted.length)];
      const end = wanted.offset + wanted.length;
      expect(isInBase(wanted, base)).toBe(end <= baseBytes && !bytes.some(isChanged));
      let at = wanted.offset;
      for (const span of spansOf(wanted, base.blocks)) {
        const isRight = [...probes(span.offset, span.length)].every((byte) => isHere(byte) === (span.from === 'file'));
        expect([span.offset, isRight]).toEqual([at, true]);
        at += span.length;
      }
      expect(at).toBe(end);
    }),
  );
});

it('takes all of a file without a base from the file', () => {
  const all = { offset: 7, length: 5 * PAGE_BYTES };
  expect([isInBase(all, undefined), spansOf(all, undefined)]).toEqual([false, [{ from: 'file', ...all }]]);
});
