import { type HardLink, type Inode, isAt } from '../model/inode.ts';
import type { Change } from '../ports/metastore.ts';

type Shared = Extract<Change, { readonly act: 'put' }> & {
  readonly row: Inode & { readonly links: readonly HardLink[] };
};

/**
 * The same changes, and behind them those at the other names of the inodes that they rewrite: at all names of an inode stands the
 * same row (`hard-links.ts`). So who changes a file need not know how many names it has.
 */
export function atAllNames(changes: readonly Change[]): readonly Change[] {
  if (!changes.some(isShared)) return changes;
  const others = changes.filter(isShared).flatMap(({ row, when }) => {
    const missing = row.links.filter((link) => !changes.some(({ key }) => isAt(link, key)));
    return missing.map((key): Change => ({ act: 'put', key, when, row }));
  });
  return [...changes, ...others];
}

/** Rewrites an inode with several names; what puts it in the place of nothing, or of another, says by itself what it means. */
function isShared(change: Change): change is Shared {
  if (change.act !== 'put' || change.row.kind === 'record' || !change.row.links) return false;
  return typeof change.when === 'object' && change.when.id === change.row.id;
}
