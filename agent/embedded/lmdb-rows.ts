import { type Key, open, type RootDatabaseOptionsWithPath } from 'lmdb';
import type { InodeId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { rangeEnd, rowKeyBytes } from './row-keys.ts';

/** Address space, not memory or disk: the file grows as rows come. */
const MAP_BYTES = 2 ** 40;
const READERS_MAX = 126;

/** Without LMDB's own syncs: `SyncedPages` does them, away from the event loop. */
export function lmdbOptions(path: string): RootDatabaseOptionsWithPath {
  return { path, keyEncoding: 'binary', encoding: 'binary', mapSize: MAP_BYTES, maxReaders: READERS_MAX, noSync: true };
}

/**
 * The rows as they lie in a file, for another thread of the same process, or another process. The thread has to return to its
 * event loop now and then: lmdb-js sets a timer for each new snapshot, and keeps it until it fires.
 */
export interface Rows {
  /** True: these are all rows, as they are. False: some of them, each for a while (the hot tier). */
  readonly isWhole: boolean;
  /** How long what was read last may be believed. */
  readonly leftMs: number;
  /**
   * From now on every commit that has answered shows; until then all reads see the rows as they were. What lets go of the
   * old snapshot takes no new one before it is needed: one that is held keeps its pages from being used again.
   */
  refresh(): void;
  /** The bytes are valid until the next call. */
  get(directory: InodeId, name: string): Uint8Array | undefined;
  /** Whether what `get` has not is not there; it may be that it is not known here. */
  isAbsent(directory: InodeId, name: string): boolean;
  /** Undefined: not all that is to be listed is known here. */
  list(directory: InodeId, after: string, limit: number): ListedBytes[] | undefined;
  close(): void;
}

export interface ListedBytes {
  readonly name: Name;
  readonly row: Uint8Array;
}

/** All rows, in the file of `lmdbMetastore`. */
export function openRows(file: string): Rows {
  const db = open<Buffer, Key>({ ...lmdbOptions(file), readOnly: true });
  return {
    isWhole: true,
    leftMs: Number.POSITIVE_INFINITY,
    isAbsent: () => true,
    refresh: () => db.resetReadTxn(),
    get(directory, name) {
      const bytes = db.getBinaryFast(rowKeyBytes(directory, name));
      // What LMDB hands out is a large buffer whose own `length` lies: a copy of it would be a copy of all.
      return bytes?.subarray(0, bytes.length);
    },
    list(directory, after, limit) {
      const start = rowKeyBytes(directory, after === '' ? '' : `${after}\0`);
      const range = db.getRange({ start, end: rangeEnd(directory), limit });
      return [...range].map(({ key, value }) => ({
        name: (key as Buffer).toString('latin1', directory.length) as Name,
        row: value,
      }));
    },
    close() {
      void db.close();
    },
  };
}
