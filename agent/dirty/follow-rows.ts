import type { InodeId } from '#shared/model/ids.ts';
import { type Inode, isAt, type Row } from '#shared/model/inode.ts';
import type { ChangeFeed, RowChange } from '#shared/ports/change-feed.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import type { DirtyFile } from './dirty-file.ts';
import type { Journal } from './journal.ts';

export interface FollowDeps {
  readonly feed: ChangeFeed;
  /** What this agent is called in rows. */
  readonly holder: string;
}

interface Followed {
  readonly files: ReadonlyMap<InodeId, DirtyFile>;
  readonly journal: Journal;
  /** The last name of a file has gone, as far as the feed has told. */
  readonly gone: (file: DirtyFile) => void;
  /** The same of one that nobody writes. */
  readonly restingGone: (from: RowKey, inode: Inode) => void;
}

/** Keeps up with where the rows of written files go. Answers what ends it. */
export function followRows({ feed, holder }: FollowDeps, { files, journal, gone, restingGone }: Followed): () => void {
  const moved = (file: DirtyFile, to: RowKey | undefined) => {
    file.at = to;
    if (to) return journal.note({ ...to, id: file.id });
    file.goneAt = Date.now();
    gone(file);
  };
  return feed.subscribe(({ changes }) => {
    for (const { inode, at } of arrivalsIn(changes)) {
      const file = files.get(inode.id);
      if (file && !file.at) moved(file, at);
    }
    for (const { inode, from, to } of movesIn(changes)) {
      const file = files.get(inode.id);
      if (file?.at && isAt(file.at, from)) moved(file, to);
      else if (!file && !to && inode.dirty?.holder === holder) restingGone(from, inode);
    }
  });
}

/** An inode's row has left a key. `to` undefined: it is nowhere any more. */
interface Move {
  readonly inode: Inode;
  readonly from: RowKey;
  readonly to: RowKey | undefined;
}

/** The rows that were taken away from where they were. A feed may tell of several commits at once. */
function movesIn(changes: readonly RowChange[]): Move[] {
  const moves: Move[] = [];
  const last = new Map(changes.map((change) => [`${change.key.directory}/${change.key.name}`, change]));
  const now = [...last.values()];
  for (const { key, before, after } of changes) {
    if (!isInode(before) || (isInode(after) && after.id === before.id)) continue;
    const there = now.find((each) => isInode(each.after) && each.after.id === before.id);
    moves.push({ inode: before, from: key, to: there?.key });
  }
  return moves;
}

/** Where inodes have come to a key that they had not. A feed may tell of it later than that they left another. */
function arrivalsIn(changes: readonly RowChange[]): { readonly inode: Inode; readonly at: RowKey }[] {
  return changes.flatMap(({ key, before, after }) => {
    const hasCome = isInode(after) && !(isInode(before) && before.id === after.id);
    return hasCome ? [{ inode: after, at: key }] : [];
  });
}

const isInode = (row: Row | undefined): row is Inode => row !== undefined && row.kind !== 'record';
