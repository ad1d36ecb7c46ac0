import { type HardLink, type Inode, isAt } from './inode.ts';

/** What may lie below a directory. What is absent has no limit. */
export interface QuotaLimits {
  /** Of files. */
  readonly bytes?: number;
  /** Files, directories and all else that has a name. */
  readonly entries?: number;
}

/** What lies below a directory, in however deep a tree. */
export interface Usage {
  readonly entries: number;
  readonly bytes: number;
}

/**
 * What a row adds to the tree that it is in. The bytes of an inode with several names count at the first of them, so once in
 * all trees together.
 */
export function usageOf(key: HardLink, { kind, size, links: [first = key] = [] }: Inode): Usage {
  return { entries: 1, bytes: kind === 'file' && isAt(first, key) ? size : 0 };
}
