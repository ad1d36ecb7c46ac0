import { TRASH } from '../model/ids.ts';
import type { Inode, Row } from '../model/inode.ts';
import { type Change, CHANGES_MAX, type RowKey } from '../ports/metastore.ts';
import type { Context } from './context.ts';

/**
 * Takes the rows of removed trees away, the deepest first, a commit at a time. A directory's children are taken before its own
 * row, so a crash leaves nothing that could not be found again. Answers how many rows went; stops when told to.
 */
export async function reclaim(context: Context, isStopped: () => boolean): Promise<number> {
  let rows = 0;
  for (;;) {
    const [top] = await context.metastore.list(TRASH, { limit: 1 });
    if (!top || isStopped() || isTooYoung(context, top.row)) return rows;
    if (top.row.kind === 'directory') rows += await empty(context, top.row, isStopped);
    if (isStopped()) return rows;
    rows += await take(context, [{ directory: TRASH, name: top.name }]);
  }
}

/** The oldest stands first: when it has to be left alone yet, so have the others. */
function isTooYoung(context: Context, row: Row): boolean {
  return row.kind !== 'record' && row.closing !== undefined && row.closing.until > context.clock();
}

/** Depth without recursion: a tree may be deeper than a stack. */
async function empty(context: Context, root: Inode, isStopped: () => boolean): Promise<number> {
  let rows = 0;
  const path: { readonly inode: Inode; readonly key?: RowKey }[] = [{ inode: root }];
  for (let top = path.at(-1); top && !isStopped(); top = path.at(-1)) {
    const page = await context.metastore.list(top.inode.id, { limit: CHANGES_MAX });
    const directory = page.find(({ row }) => row.kind === 'directory');
    const leaves = page.filter(({ row }) => row.kind !== 'directory');
    rows += await take(
      context,
      leaves.map(({ name }) => ({ directory: top.inode.id, name })),
    );
    if (directory?.row.kind === 'directory') {
      path.push({ inode: directory.row, key: { directory: top.inode.id, name: directory.name } });
    } else if (page.length === 0) {
      path.pop();
      if (top.key) rows += await take(context, [top.key]);
    }
  }
  return rows;
}

async function take(context: Context, keys: readonly RowKey[]): Promise<number> {
  if (keys.length > 0) await context.metastore.commit(keys.map((key): Change => ({ act: 'remove', key, when: 'any' })));
  return keys.length;
}
