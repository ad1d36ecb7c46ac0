import type { Inode } from '../model/inode.ts';
import type { Name } from '../model/names.ts';

/**
 * Stores list in *key order*: `a-b` stands before the directory `a/`, because `-` is less than `/`. Rows are kept in name
 * order, where `a` stands before `a-b`. To walk both at once the rows are put into key order: a directory waits until no
 * name can come that its key follows. Only names that begin with one another wait together, so the buffer stays small.
 */
export interface NamedRow {
  readonly name: Name;
  readonly inode: Inode;
}

export const orderKey = (name: string, isDirectory: boolean): string => (isDirectory ? `${name}/` : name);

export async function* inKeyOrder(rows: AsyncIterable<NamedRow>): AsyncGenerator<NamedRow> {
  const waiting: NamedRow[] = [];
  for await (const row of rows) {
    yield* due(waiting, row.name);
    if (row.inode.kind === 'directory') waiting.push(row);
    else yield row;
  }
  yield* due(waiting, undefined);
}

/** The directories whose key stands before every name from `next` on; the longest name first, as their keys order. */
function* due(waiting: NamedRow[], next: Name | undefined): Generator<NamedRow> {
  for (let top = waiting.at(-1); top !== undefined; top = waiting.at(-1)) {
    if (next !== undefined && `${top.name}/` > next) return;
    waiting.pop();
    yield top;
  }
}
