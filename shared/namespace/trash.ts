import { type InodeId, TRASH } from '../model/ids.ts';
import type { Inode, Row } from '../model/inode.ts';
import { type Change, CHANGES_MAX, type ListedRow } from '../ports/metastore.ts';
import { asRead, type Context, putRow, revised } from './context.ts';
import { dropName } from './hard-links.ts';
import { forgotten } from './directory-keys.ts';

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
    rows += await take(context, TRASH, [top]);
  }
}

/** The oldest stands first: when it has to be left alone yet, so have the others. */
function isTooYoung(context: Context, row: Row): boolean {
  return row.kind !== 'record' && row.closing !== undefined && row.closing.until > context.clock();
}

interface Opened {
  readonly id: InodeId;
  /** Takes its own row, once it is empty; absent for the top. */
  readonly take?: () => Promise<number>;
}

/** Depth without recursion: a tree may be deeper than a stack. */
async function empty(context: Context, root: Inode, isStopped: () => boolean): Promise<number> {
  let rows = 0;
  const open: Opened[] = [{ id: root.id }];
  for (let top = open.at(-1); top && !isStopped(); top = open.at(-1)) {
    const { id } = top;
    const page = await context.metastore.list(id, { limit: CHANGES_MAX });
    if (page.length === 0) open.pop();
    const leaves = page.filter(({ row }) => row.kind === 'record' || (row.kind !== 'directory' && !row.links));
    rows += await takeNames(context, id, page);
    rows += page.length === 0 && top.take ? await top.take() : await take(context, id, leaves);
    for (const each of page) {
      const below = await fenced(context, id, each);
      if (below) open.push(below);
    }
  }
  return rows;
}

/**
 * A directory below gets a new version before anybody looks into it: a rename that had resolved its way before the tree was
 * removed, and comes this late, does not carry off what is being emptied. Undefined: one was quicker, and it is alive.
 */
async function fenced(context: Context, directory: InodeId, { name, row }: ListedRow): Promise<Opened | undefined> {
  if (row.kind !== 'directory') return undefined;
  const mark = putRow({ directory, name }, row, {});
  if (!(await context.metastore.commit([mark])).committed) return undefined;
  return { id: row.id, take: () => take(context, directory, [{ name, row: revised(row, {}) }]) };
}

/** What has other names elsewhere goes on living under those. */
async function takeNames(context: Context, directory: InodeId, page: readonly ListedRow[]): Promise<number> {
  let names = 0;
  for (const { name, row } of page) {
    if (row.kind === 'record' || !row.links) continue;
    await dropName(context, { directory, name }, row);
    names++;
  }
  return names;
}

/** With a directory, which is empty by now, goes the record of where it is kept. */
async function take(context: Context, directory: InodeId, rows: readonly ListedRow[]): Promise<number> {
  const changes = rows.flatMap(({ name, row }): Change[] => {
    const key = { directory, name };
    if (row.kind !== 'directory') return [{ act: 'remove', key, when: 'any' }];
    return [{ act: 'remove', key, when: asRead(row) }, forgotten(context, row)];
  });
  if (changes.length > 0) await context.metastore.commit(changes);
  return rows.length;
}
