import { ABOVE_ROOT, type InodeId } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { RowChange } from '#shared/ports/change-feed.ts';
import { type Content, type Nodes, ROOT_NODE } from './nodes.ts';

/** A row that others have changed, as far as the kernel has to know. */
export interface ChangedRow {
  readonly directory: InodeId;
  readonly name: Name;
  readonly before: Content | undefined;
  readonly after: Content | undefined;
  /** An inode of the first version has never been anywhere else. */
  readonly mayHaveMoved: boolean;
  /** A time was set by hand. What comes and goes in a directory changes two at once, to the same. */
  readonly hasSetTime: boolean;
}

/** What the kernel is to forget: what a name leads to, or the attributes of a node. */
export type Notice =
  | { readonly entry: { readonly parent: number; readonly name: Name } }
  | { readonly attributes: number };

/** Without what is no file or directory. */
export function changedRows(changes: readonly RowChange[]): ChangedRow[] {
  return changes.flatMap(({ key, before, after }) => {
    if (before?.kind === 'record' || after?.kind === 'record') return [];
    const mayHaveMoved = after !== undefined && after.version > 1;
    const hasSetTime = after !== undefined && after.mtime !== before?.mtime && after.mtime !== after.ctime;
    return [
      { ...key, before: before && contentIn(before), after: after && contentIn(after), mayHaveMoved, hasSetTime },
    ];
  });
}

const contentIn = ({ kind, id, generation }: Inode): Content => ({
  inodeId: id,
  generation: kind === 'directory' ? 0 : generation,
});

/** By those who know the nodes: puts them where they lie now, and says what to tell the kernel, if it knows anything of it. */
export function noticeOf(
  nodes: Nodes,
  { directory, name, before, after, mayHaveMoved }: ChangedRow,
): Notice | undefined {
  if (directory === ABOVE_ROOT) {
    // The root gets another inode when the store at `/` comes or goes.
    if (after) nodes.root.inodeId = after.inodeId;
    return { attributes: ROOT_NODE };
  }
  const parent = nodes.find({ inodeId: directory, generation: 0 });
  const node = after && nodes.find(after);
  if (node && parent && !before && mayHaveMoved) nodes.place(node, parent, name);
  if (after && before?.inodeId === after.inodeId && before.generation === after.generation) {
    return node && { attributes: node.id };
  }
  return before && parent && { entry: { parent: parent.id, name } };
}
