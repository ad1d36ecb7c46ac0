import type { Inode } from '../model/inode.ts';
import { atAllNames } from './all-names.ts';
import { opened } from './closing.ts';
import { asRead, type Context, inodeAt, revised } from './context.ts';
import type { RowOf } from './intent.ts';

/** The row that an intent was made for; undefined once it has been removed or replaced. */
export async function ownRow(context: Context, { directory, name, id }: RowOf): Promise<Inode | undefined> {
  const row = await inodeAt(context, { directory, name });
  return row?.id === id ? row : undefined;
}

/** Rewrites a row as often as others get in between; leaves it when it is gone or there is nothing to say. */
export async function reviseRow(
  context: Context,
  row: RowOf,
  rewrite: (now: Inode) => Inode | undefined,
): Promise<void> {
  const { id: _, ...key } = row;
  for (;;) {
    const seen = await ownRow(context, row);
    // A mark of a remover stays as it is, or its removal would fail and everybody wait for the end of its lease.
    const now = seen?.closing ? await opened(context, key, seen) : seen;
    const after = now && rewrite(now);
    if (!now || !after) return;
    const put = { act: 'put', key, when: asRead(now), row: revised(after, {}) } as const;
    if ((await context.metastore.commit(atAllNames([put]))).committed) return;
  }
}
