import type { Row } from '../model/inode.ts';
import type { RowKey } from './metastore.ts';

export interface RowChange {
  readonly key: RowKey;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

/** One commit, as everybody sees it. */
export interface CommitEvent {
  readonly source: string | undefined;
  readonly changes: readonly RowChange[];
}

/** Every commit, once, in commit order, before `commit` has answered. A listener must be quick and must not throw. */
export interface ChangeFeed {
  subscribe(listener: (event: CommitEvent) => void): () => void;
}
