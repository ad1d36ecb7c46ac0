import { type Key, open, type RootDatabase } from 'lmdb';
import type { InodeId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import type { Clock } from '#shared/ports/clock.ts';
import { lmdbOptions, type Rows } from '../embedded/lmdb-rows.ts';
import { rangeEnd, rowKeyBytes } from '../embedded/row-keys.ts';

/**
 * The file of the hot tier. Keys, told apart by their first byte:
 *
 *     length of the directory's id · id · name → what is known of a row
 *     0 · id of a directory                    → when the listing began that has brought all its rows
 *     255                                      → what is older was known to an agent that has not caught up since
 *
 * What is known begins with the time (f64, ms) at which the one who knows was asked, so that it was true then or later. Behind
 * it are the bytes of the row, or nothing when there is no row. A single byte: not known, though the directory's rows are.
 */
export const HOT_FORMAT = 1;
export type HotFile = RootDatabase<Buffer, Key>;

const STAMP_BYTES = 8;
const UNKNOWN_BYTES = 1;
const LISTED = 0;
export const UNKNOWN = Buffer.alloc(UNKNOWN_BYTES);
export const FLOOR_KEY = Buffer.from([0xff]);

/** Without the length an id of 6 bytes and a name could be one of 16, and another name. */
const filed = (directory: InodeId) => (String.fromCharCode(directory.length) + directory) as InodeId;

export const hotKey = (directory: InodeId, name: string): Buffer => rowKeyBytes(filed(directory), name);
export const listedKey = (directory: InodeId): Buffer => Buffer.from(String.fromCharCode(LISTED) + directory, 'latin1');

/** The keys of the names after one, and up to another with that. */
export function hotRange(
  directory: InodeId,
  after = '',
  last?: string,
): { readonly start: Buffer; readonly end: Buffer } {
  const start = hotKey(directory, after === '' ? '' : `${after}\0`);
  return { start, end: last === undefined ? rangeEnd(filed(directory)) : hotKey(directory, `${last}\0`) };
}

export const nameIn = (directory: InodeId, key: Buffer): Name => key.toString('latin1', 1 + directory.length) as Name;

/** Which directory a key tells of, whether as one of its rows or as a whole; undefined for the floor. */
export function directoryOf(key: Buffer): InodeId | undefined {
  const length = key[0] === LISTED ? key.length - 1 : (key[0] ?? 0);
  return length < key.length ? (key.toString('latin1', 1, 1 + length) as InodeId) : undefined;
}

export const stampOf = (value: Buffer): number =>
  value.length < STAMP_BYTES ? Number.NEGATIVE_INFINITY : value.readDoubleLE(0);

export function stamped(at: number, row?: Uint8Array): Buffer {
  const value = Buffer.allocUnsafe(STAMP_BYTES + (row?.length ?? 0));
  value.writeDoubleLE(at, 0);
  if (row) value.set(row, STAMP_BYTES);
  return value;
}

/** The bytes of the row in a value; undefined when it says that there is none, or nothing. */
export function rowIn(value: Buffer): Buffer | undefined {
  return value.length > STAMP_BYTES ? value.subarray(STAMP_BYTES) : undefined;
}

/** LMDB hands out a large buffer whose own `length` is that of the value; what is cut from it is valid until the next call. */
export function valueAt(db: HotFile, key: Buffer): Buffer | undefined {
  const value = db.getBinaryFast(key) as Buffer | undefined;
  return value?.subarray(0, value.length);
}

export interface HotPage {
  readonly entries: { readonly name: Name; readonly row: Uint8Array }[];
  /** Names that may be there or not, among and before the entries. */
  readonly unknown: Name[];
}

/** Reads what is fresh: not older than the lease, nor than what is believed at all. */
export class HotReader {
  readonly #db: HotFile;
  readonly #leaseMs: number;
  readonly #clock: Clock;
  #floor: number | undefined;
  /** How long what was read last may still be believed. */
  leftMs = 0;

  constructor(db: HotFile, { leaseMs, clock }: HotLease) {
    this.#db = db;
    this.#leaseMs = leaseMs;
    this.#clock = clock;
  }

  refresh(): void {
    this.#floor = undefined;
    this.#db.resetReadTxn();
  }

  /** The bytes of a row, valid until the next call. */
  look(directory: InodeId, name: string): Uint8Array | 'absent' | 'unknown' {
    const value = this.#valueAt(hotKey(directory, name));
    if (!value) return this.isListed(directory) ? 'absent' : 'unknown';
    if (!this.#isFresh(value)) return 'unknown';
    return rowIn(value) ?? 'absent';
  }

  /** True when a row that is not in the file is not there at all. */
  isListed(directory: InodeId): boolean {
    const value = this.#valueAt(listedKey(directory));
    if (value) return this.#isFresh(value);
    this.leftMs = 0;
    return false;
  }

  /** At most `limit` entries after a name; undefined when there may be rows that the file has not. */
  page(directory: InodeId, after: string, limit: number): HotPage | undefined {
    if (!this.isListed(directory)) return undefined;
    const { leftMs } = this;
    const page: HotPage = { entries: [], unknown: [] };
    for (const { key, value } of this.#db.getRange(hotRange(directory, after))) {
      const name = nameIn(directory, key as Buffer);
      const row = rowIn(value);
      if (!this.#isFresh(value)) page.unknown.push(name);
      else if (row && page.entries.push({ name, row }) === limit) break;
      if (page.unknown.length === limit) break;
    }
    this.leftMs = leftMs;
    return page;
  }

  /** The floor is read before: LMDB's next answer is written over this one. */
  #valueAt(key: Buffer): Buffer | undefined {
    this.#floor ??= floorOf(this.#db);
    return valueAt(this.#db, key);
  }

  #isFresh(value: Buffer): boolean {
    const stamp = stampOf(value);
    const age = this.#clock() - stamp;
    // A clock that was set back says nothing about what is from later.
    const isFresh = age >= 0 && age <= this.#leaseMs && stamp > (this.#floor ?? stamp);
    this.leftMs = isFresh ? this.#leaseMs - age : 0;
    return isFresh;
  }
}

export interface HotLease {
  readonly leaseMs: number;
  readonly clock: Clock;
}

export function floorOf(db: HotFile): number {
  const value = valueAt(db, FLOOR_KEY);
  return value ? stampOf(value) : Number.NEGATIVE_INFINITY;
}

/** The hot tier for another thread: some of the rows that there are, each for a while. */
export function openHotRows(file: string, lease: HotLease): Rows {
  const db = open<Buffer, Key>({ ...lmdbOptions(file), readOnly: true });
  const reader = new HotReader(db, lease);
  return {
    isWhole: false,
    get leftMs() {
      return reader.leftMs;
    },
    refresh: () => reader.refresh(),
    get(directory, name) {
      const found = reader.look(directory, name);
      return typeof found === 'string' ? undefined : found;
    },
    isAbsent: (directory, name) => reader.look(directory, name) === 'absent',
    list(directory, after, limit) {
      const page = reader.page(directory, after, limit);
      return page && page.unknown.length === 0 ? page.entries : undefined;
    },
    close() {
      void db.close();
    },
  };
}
