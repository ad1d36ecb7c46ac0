import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Inode } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import { inKeyOrder, type NamedRow, orderKey } from './key-order.ts';

async function* each(rows: readonly NamedRow[]) {
  yield* rows;
}

it('puts rows in name order into key order', async () => {
  const letters = fc.string({
    unit: fc.constantFrom('a', 'b', '-', '.', '0', '\xc3', ' '),
    minLength: 1,
    maxLength: 5,
  });
  const tree = fc.uniqueArray(fc.record({ name: letters, isDirectory: fc.boolean() }), {
    selector: (row) => row.name,
    maxLength: 30,
  });
  await fc.assert(
    fc.asyncProperty(tree, async (entries) => {
      const rows = entries
        .map(({ name, isDirectory }) => ({
          name: name as Name,
          inode: { kind: isDirectory ? 'directory' : 'file' } as Inode,
        }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
      const walked: string[] = [];
      for await (const { name, inode } of inKeyOrder(each(rows)))
        walked.push(orderKey(name, inode.kind === 'directory'));
      expect(walked).toEqual(
        rows.map((row) => orderKey(row.name, row.inode.kind === 'directory')).toSorted((a, b) => (a < b ? -1 : 1)),
      );
    }),
    { numRuns: 500 },
  );
});
