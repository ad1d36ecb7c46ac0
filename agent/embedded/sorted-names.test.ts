import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Name } from '#shared/model/names.ts';
import { SortedNames } from './sorted-names.ts';

const name = fc.stringMatching(/^[a-f\x80\xff]{1,2}$/).map((text) => text as Name);
const step = fc.oneof(
  fc.record({ act: fc.constant('add' as const), name }),
  fc.record({ act: fc.constant('delete' as const), name }),
  fc.record({ act: fc.constant('page' as const), name: fc.option(name, { nil: undefined }), limit: fc.nat(5) }),
);

describe('sorted names', () => {
  it('page as a set does that is sorted each time', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const names = new SortedNames();
        const there = new Set<Name>();
        const pages: Name[][] = [];
        const expected: Name[][] = [];
        for (const each of steps) {
          if (each.act === 'page') {
            const { name: after, limit } = each;
            const sorted = [...there].toSorted((a, b) => (a < b ? -1 : 1));
            expected.push(sorted.filter((one) => after === undefined || one > after).slice(0, limit));
            pages.push(names.page(after, limit));
          } else if (each.act === 'add' && !there.has(each.name)) {
            there.add(each.name);
            names.add(each.name);
          } else if (each.act === 'delete' && there.delete(each.name)) names.delete(each.name);
        }
        expect(pages).toEqual(expected);
      }),
    );
  });
});
