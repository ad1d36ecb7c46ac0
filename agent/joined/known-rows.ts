import { type InodeId, isSpecial } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import { decodeRow, encodeRow } from '#shared/model/row-codec.ts';
import type { Clock } from '#shared/ports/clock.ts';
import type { ListedRow, RowKey } from '#shared/ports/metastore.ts';
import { HotWriter } from './hot-file.ts';
import {
  FLOOR_KEY,
  floorOf,
  hotKey,
  hotRange,
  HotReader,
  listedKey,
  nameIn,
  rowIn,
  stamped,
  stampOf,
  UNKNOWN,
  valueAt,
} from './hot-rows.ts';
import { type Reading, Readings } from './readings.ts';

/** Larger rows are not kept: with the limit of their number this bounds the file. */
const ROW_BYTES_MAX = 4096;

export interface KnownRowsOptions {
  readonly dir: string;
  readonly identity: string;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly rowsMax: number;
  readonly log: (message: string) => void;
}

/** What the feed says of a row. `isCut`: not all of `after` has come along. */
export interface HotChange {
  readonly key: RowKey;
  readonly after: Row | undefined;
  readonly isCut?: boolean;
}

export interface AnsweredPage {
  readonly directory: InodeId;
  readonly after: Name | undefined;
  /** When it was asked for; and when the first page was, if those before are known. */
  readonly at: number;
  readonly since: number | undefined;
  readonly rows: readonly ListedRow[];
  readonly isLast: boolean;
}

/**
 * The rows in the file and what is allowed to change them. An answer of the remote store is kept with the time at which it was
 * asked for, and only over what is older; what is told of a change only ever replaces the same inode by a later version of it.
 * Everything else that is told makes a row unknown: feeds lag, and what they say may be older than what was read since.
 */
export class KnownRows {
  readonly readings = new Readings();
  readonly reader: HotReader;
  readonly rowsFile: string;
  readonly #options: KnownRowsOptions;
  readonly #writer: HotWriter;
  readonly #listeners = new Set<() => void>();
  /** Of the last process: what is older it did not believe itself. */
  #floorBefore: number;
  #isBroken = false;
  #isClosed = false;

  constructor(options: KnownRowsOptions) {
    this.#options = options;
    this.#writer = new HotWriter({ ...options, onEvicted: (directory) => this.#evicted(directory) });
    this.rowsFile = this.#writer.rowsFile;
    this.reader = new HotReader(this.#writer.db, options);
    this.#floorBefore = floorOf(this.#writer.db);
    this.#change(() => this.#writer.put(FLOOR_KEY, stamped(options.clock())));
  }

  look({ directory, name }: RowKey): Row | 'absent' | 'unknown' {
    const found = this.#isBroken ? 'unknown' : this.reader.look(directory, name);
    return typeof found === 'string' ? found : (decoded(found) ?? 'unknown');
  }

  /** Undefined: there may be rows that are not known. */
  page(directory: InodeId, after: Name | undefined, limit: number): { rows: ListedRow[]; unknown: Name[] } | undefined {
    const page = this.#isBroken ? undefined : this.reader.page(directory, after ?? '', limit);
    if (!page) return undefined;
    const rows = page.entries.flatMap(({ name, row: bytes }) => {
      const row = decoded(bytes);
      return row ? [{ name, row }] : [];
    });
    return rows.length === page.entries.length ? { rows, unknown: page.unknown } : undefined;
  }

  keepRows(
    reading: Reading,
    at: number,
    rows: readonly { readonly key: RowKey; readonly row: Row | undefined }[],
  ): void {
    const kept = rows.filter(({ key }) => isKept(key.directory) && reading.mayKeep(key));
    if (kept.length > 0) this.#write(() => kept.forEach(({ key, row }) => this.#keep(key, row, at)));
  }

  /** What the file has between the names of a page, and the page has not, is not there. */
  keepPage(reading: Reading, { directory, after, at, since, rows, isLast }: AnsweredPage): void {
    const last = isLast ? undefined : rows.at(-1)?.name;
    const isEmpty = !isLast && last === undefined;
    if (!isKept(directory) || reading.isLost || isEmpty) return;
    // Before the write, which may drop rows of this directory again where there are too many.
    if (since !== undefined && last !== undefined) this.readings.stopped(directory, { since, at: last });
    else if (since !== undefined) this.readings.ended(directory);
    const isWritten = this.#write(() => {
      const listed = new Set(rows.map(({ name }) => name));
      const between = [...this.#writer.db.getRange(hotRange(directory, after, last))];
      for (const { key, value } of between) {
        const name = nameIn(directory, key as Buffer);
        const isGone = !listed.has(name) && stampOf(value) <= at && reading.mayKeep({ directory, name });
        if (isGone) this.#writer.remove(key as Buffer);
      }
      for (const { name, row } of rows) {
        const key = { directory, name };
        if (reading.mayKeep(key)) this.#keep(key, row, at);
      }
      if (isLast && since !== undefined) this.#writer.put(listedKey(directory), stamped(since));
    });
    if (!isWritten) this.readings.ended(directory);
  }

  apply(changes: readonly HotChange[]): void {
    for (const { key } of changes) this.readings.changed(key);
    this.#change(() => {
      for (const change of changes) if (isKept(change.key.directory)) this.#apply(change);
    });
  }

  forget(keys: readonly RowKey[]): void {
    this.apply(keys.map((key) => ({ key, after: undefined })));
  }

  clear(): void {
    this.#change(() => this.#dropAll());
  }

  believe(): void {
    this.#change(() => this.#writer.put(FLOOR_KEY, stamped(this.#floorBefore)));
  }

  onWritten(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#writer.db.close();
  }

  #keep({ directory, name }: RowKey, row: Row | undefined, at: number): void {
    const key = hotKey(directory, name);
    const before = valueAt(this.#writer.db, key);
    // Of two answers that cross, the one that was asked for later counts.
    if (before && stampOf(before) > at) return;
    this.#writer.put(key, row ? (valueOf(row, at) ?? UNKNOWN) : stamped(at));
  }

  #apply({ key: { directory, name }, after, isCut }: HotChange): void {
    const key = hotKey(directory, name);
    const value = valueAt(this.#writer.db, key);
    const bytes = value && rowIn(value);
    const known = bytes && decoded(bytes);
    if (value && known && after && isSameInode(known, after)) {
      if (known.version >= after.version) return;
      // It keeps its age: how old the change is by now, the feed does not tell.
      const next = isCut ? undefined : valueOf(after, stampOf(value));
      if (next) return this.#writer.put(key, next);
    }
    const isWatched =
      this.readings.isListing(directory) || valueAt(this.#writer.db, listedKey(directory)) !== undefined;
    if (isWatched) this.#writer.put(key, UNKNOWN);
    else if (value) this.#writer.remove(key);
  }

  #evicted(directory: InodeId): void {
    this.#writer.remove(listedKey(directory));
    this.readings.dropped(directory);
  }

  /** What is on its way was asked for before, and is not kept either. */
  #dropAll(): void {
    this.readings.allDropped();
    this.#floorBefore = this.#options.clock();
    this.#writer.put(FLOOR_KEY, stamped(this.#floorBefore));
  }

  /** If it fails, what the file says may be wrong from now on: it is not used here before all of it has been dropped. */
  #change(act: () => void): void {
    if (!this.#write(act)) this.#isBroken = true;
  }

  /** False: it failed. What was read is not kept then, and is only asked for again. */
  #write(act: () => void): boolean {
    if (this.#isClosed) return true;
    const { clock, log } = this.#options;
    try {
      this.#writer.write(clock(), () => {
        if (this.#isBroken) this.#dropAll();
        act();
      });
      this.#isBroken = false;
    } catch (error) {
      log(`${this.rowsFile}: could not be written (${String(error)}); check that its disk has room`);
      return false;
    } finally {
      this.reader.refresh();
    }
    for (const listener of this.#listeners) listener();
    return true;
  }
}

/** Records of other kinds change without the feed telling, or are read to decide about a change. */
export const isKept = (directory: InodeId): boolean => !isSpecial(directory);

function isSameInode(known: Row, after: Row): boolean {
  return known.kind !== 'record' && after.kind !== 'record' && known.id === after.id;
}

/** Undefined where a row is not to be kept. Who meets a directory that is closing waits for the outcome, and asks for it. */
function valueOf(row: Row, at: number): Buffer | undefined {
  if (row.kind !== 'record' && row.closing) return undefined;
  const bytes = encodeRow(row);
  return bytes.length > ROW_BYTES_MAX ? undefined : stamped(at, bytes);
}

/** Undefined: damaged. */
function decoded(bytes: Uint8Array): Row | undefined {
  try {
    return decodeRow(bytes);
  } catch {
    return undefined;
  }
}
