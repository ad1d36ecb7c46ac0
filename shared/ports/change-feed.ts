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

/** Where a follower is in the feed: opaque text, of letters, digits, `-` and `_`. */
export type Cursor = string;

/** `gap`: what came before `cursor` is lost to this follower, who has to look at the rows themselves and goes on from there. */
export type FeedStep =
  | { readonly what: 'changes'; readonly cursor: Cursor; readonly changes: readonly RowChange[] }
  | { readonly what: 'ready' | 'gap'; readonly cursor: Cursor };

/**
 * The same changes for whoever comes later or was away: in order for each directory, from behind a cursor, at the pace of the
 * follower. Nothing waits for a slow one; it gets a `gap`. A change may come twice. A cursor that is not known is a gap too.
 */
export interface FollowedFeed {
  /**
   * Without `after` from now on. `ready` comes once, when all that had been there has been handed over. Ends when the signal is
   * aborted, or the feed closed.
   */
  follow(options: { readonly after?: Cursor; readonly signal: AbortSignal }): AsyncIterable<FeedStep>;
}
