import type { InodeId } from '../model/ids.ts';
import type { Row } from '../model/inode.ts';
import type { Name } from '../model/names.ts';

export interface RowKey {
  readonly directory: InodeId;
  readonly name: Name;
}

/** Of different keys different texts: U+0100 is no byte, so it cannot be a part of either. */
export const keyText = ({ directory, name }: RowKey): string => `${directory}\u0100${name}`;

/**
 * What must be true of the stored row for a change to apply. A version alone does not tell an inode from another one that has
 * taken its key since: of an inode the id is to be given too.
 */
export type Condition = 'any' | 'absent' | { readonly version: number; readonly id?: InodeId };

export type Change =
  | { readonly act: 'put'; readonly key: RowKey; readonly when: Condition; readonly row: Row }
  | { readonly act: 'remove'; readonly key: RowKey; readonly when: Condition }
  /** Only the condition: the row stays. */
  | { readonly act: 'check'; readonly key: RowKey; readonly when: Condition };

export interface CommitOptions {
  /** A commit that carries a token which has committed within `TOKEN_LIFE_MS` answers as it did then, and changes nothing. */
  readonly token?: string;
  /** Handed on to the feed, so that who made a change can know its own. */
  readonly source?: string;
}

/** `failed` are the positions of the changes whose condition did not hold; then nothing was changed. */
export type CommitResult =
  | { readonly committed: true }
  | { readonly committed: false; readonly failed: readonly number[] };

export interface ListedRow {
  readonly name: Name;
  readonly row: Row;
}

export const CHANGES_MAX = 100;
export const TOKEN_LIFE_MS = 600_000;

/**
 * The rows `(directory, name) → row`, ordered by the bytes of the name within a directory. Absence is a value; a failed
 * condition is a value; only an engine that cannot answer throws (`unavailable`). Every method may be retried.
 */
export interface Metastore {
  /** One round trip for all keys; answers in their order. Sees every commit that has answered. */
  get(keys: readonly RowKey[]): Promise<(Row | undefined)[]>;
  /** Ascending, strictly after `after`, at most `limit` rows; fewer mean that the directory ends there. */
  list(directory: InodeId, options: { readonly after?: Name; readonly limit: number }): Promise<ListedRow[]>;
  /**
   * All or nothing, at most `CHANGES_MAX` changes (a token counts as one), each key once. Conditions look at the rows as they were before the commit.
   * A commit that has answered survives the death of the process; power loss only after `flushed`.
   */
  commit(changes: readonly Change[], options?: CommitOptions): Promise<CommitResult>;
  /** Resolves when all that has been committed is on disk (fsync). */
  flushed(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Ids for new inodes, never handed out twice by one metastore, not even after a crash. Where ids are drawn by chance, the
 * token of a request always gives the same one, so that a repeated request knows what it has made.
 */
export type NewId = (token?: string) => InodeId;
