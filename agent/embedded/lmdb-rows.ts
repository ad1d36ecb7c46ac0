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

/** The rows as they lie in the file of `lmdbMetastore`, for another thread of the same process. */
export interface Rows {
  /** Shows every commit that has answered. The bytes are valid until the next call. */
  get(directory: InodeId, name: string): Uint8Array | undefined;
  list(directory: InodeId, after: string, limit: number): { readonly name: Name; readonly row: Uint8Array }[];
  close(): void;
}

export function openRows(file: string): Rows {
  const db = open<Buffer, Key>({ ...lmdbOptions(file), readOnly: true });
  // After each read, not before: a snapshot that is held while its thread sleeps keeps all pages from being used again.
  const ended = <Result>(result: Result): Result => {
    db.resetReadTxn();
    return result;
  };
  return {
    get(directory, name) {
      const bytes = db.getBinaryFast(rowKeyBytes(directory, name));
      return ended(bytes?.subarray(0, bytes.length));
    },
    list(directory, after, limit) {
      const start = rowKeyBytes(directory, after === '' ? '' : `${after}\0`);
      const range = db.getRange({ start, end: rangeEnd(directory), limit });
      const rows = [...range].map(({ key, value }) => ({
        name: (key as Buffer).toString('latin1', directory.length) as Name,
        row: value,
      }));
      return ended(rows);
    },
    close() {
      void db.close();
    },
  };
}
