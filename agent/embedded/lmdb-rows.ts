import { type Key, open, type RootDatabaseOptionsWithPath } from 'lmdb';
import type { InodeId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { rangeEnd, rowKeyBytes } from './row-keys.ts';

/** Address space, not memory or disk: the file grows as rows come. */
const MAP_BYTES = 2 ** 40;
const READERS_MAX = 126;

export function lmdbOptions(path: string): RootDatabaseOptionsWithPath {
  return { path, keyEncoding: 'binary', encoding: 'binary', mapSize: MAP_BYTES, maxReaders: READERS_MAX };
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
  return {
    get(directory, name) {
      db.resetReadTxn();
      return db.getBinaryFast(rowKeyBytes(directory, name));
    },
    list(directory, after, limit) {
      db.resetReadTxn();
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
