import type { Inode, Row } from '#shared/model/inode.ts';
import type { RowChange } from '#shared/ports/change-feed.ts';
import type { RowKey } from '#shared/ports/metastore.ts';

/** An inode's row has left a key. `to` undefined: it is nowhere any more. */
export interface Move {
  readonly inode: Inode;
  readonly from: RowKey;
  readonly to: RowKey | undefined;
}

/** The rows that one commit has taken away from where they were. */
export function movesIn(changes: readonly RowChange[]): Move[] {
  const moves: Move[] = [];
  for (const { key, before, after } of changes) {
    if (!isInode(before) || (isInode(after) && after.id === before.id)) continue;
    const there = changes.find((each) => isInode(each.after) && each.after.id === before.id);
    moves.push({ inode: before, from: key, to: there?.key });
  }
  return moves;
}

const isInode = (row: Row | undefined): row is Inode => row !== undefined && row.kind !== 'record';
