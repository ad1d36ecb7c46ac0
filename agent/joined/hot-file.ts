import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Key, open } from 'lmdb';
import type { InodeId } from '#shared/model/ids.ts';
import { lmdbOptions } from '../embedded/lmdb-rows.ts';
import { bootId } from '../embedded/synced-pages.ts';
import { directoryOf, FLOOR_KEY, floorOf, HOT_FORMAT, type HotFile, stampOf, valueAt } from './hot-rows.ts';

/** Of keys that are looked at together when there are too many, and the share of the limit that they are at most. */
const SWEEP_KEYS_MAX = 1000;
const SWEEP_SHARE = 1 / 8;
/** Where a smaller part of them is stale, the others go too. */
const STALE_SHARE_MIN = 1 / 4;

export interface HotFileOptions {
  readonly dir: string;
  /** Of the namespace: the rows of another one are nothing worth here. */
  readonly identity: string;
  readonly rowsMax: number;
  readonly leaseMs: number;
  /** Rows of this directory are not in the file any more. */
  readonly onEvicted: (directory: InodeId) => void;
}

/** The writing side of the file: opens it or a new one, and keeps it from growing. */
export class HotWriter {
  readonly db: HotFile;
  readonly rowsFile: string;
  readonly #options: HotFileOptions;
  readonly #sweepKeys: number;
  /** Since the keys were last counted. */
  #written: number;
  #swept: Buffer | undefined;

  constructor(options: HotFileOptions) {
    const { dir, identity } = options;
    this.#options = options;
    this.#sweepKeys = Math.max(1, Math.min(SWEEP_KEYS_MAX, Math.floor(options.rowsMax * SWEEP_SHARE)));
    this.#written = this.#sweepKeys;
    this.rowsFile = join(dir, 'rows.mdb');
    mkdirSync(dir, { recursive: true });
    // Nothing is synced to disk, so after another boot the pages may be of any time, and the file is not even opened.
    const label = JSON.stringify({ format: HOT_FORMAT, identity, boot: bootId() || crypto.randomUUID() });
    const labelFile = join(dir, 'label.json');
    if (readIfThere(labelFile) !== label || !existsSync(this.rowsFile) || !isWhole(this.rowsFile)) {
      for (const each of [this.rowsFile, `${this.rowsFile}-lock`]) rmSync(each, { force: true });
    }
    this.db = open<Buffer, Key>(lmdbOptions(this.rowsFile));
    writeFileSync(labelFile, label);
  }

  /** All that `act` puts and removes shows together, and before this returns. */
  write(now: number, act: () => void): void {
    this.db.transactionSync(act);
    this.db.resetReadTxn();
    if (this.#written < this.#sweepKeys) return;
    this.#written = 0;
    while (countIn(this.db) > this.#options.rowsMax) {
      this.db.transactionSync(() => this.#sweep(now));
      this.db.resetReadTxn();
    }
  }

  /** Within `write`. */
  put(key: Buffer, value: Buffer): void {
    this.#written++;
    void this.db.put(key, value);
  }

  remove(key: Buffer): void {
    void this.db.remove(key);
  }

  /**
   * Goes round the keys, which lie by directory: what is stale goes, and where there is little of it all goes. A directory that
   * loses a row is not wholly known any more.
   */
  #sweep(now: number): void {
    const range = { ...(this.#swept && { start: this.#swept }), end: FLOOR_KEY, limit: this.#sweepKeys };
    const keys = [...this.db.getKeys(range)] as Buffer[];
    this.#swept = keys.length === this.#sweepKeys ? keys.at(-1) : undefined;
    const floor = floorOf(this.db);
    const isStale = (key: Buffer) => {
      const stamp = stampOf(valueAt(this.db, key) ?? Buffer.alloc(0));
      return stamp <= floor || now - stamp > this.#options.leaseMs;
    };
    const stale = keys.filter(isStale);
    const victims = stale.length > keys.length * STALE_SHARE_MIN ? stale : keys;
    for (const key of victims) this.remove(key);
    for (const directory of new Set(victims.map(directoryOf))) {
      if (directory !== undefined) this.#options.onEvicted(directory);
    }
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

const countIn = (db: HotFile) => (db.getStats() as { readonly entryCount: number }).entryCount;

// Where LMDB's meta pages, the first two of the file, say what they are, how large pages are, and which one is the last.
const META_BYTES = 160;
const MAGIC_AT = 24;
const MAGIC = 0xbeefc0de;
const PAGE_SIZE_AT = 48;
const LAST_PAGE_AT = 144;

/** LMDB takes any file for its own, and one that is none, or was cut short, kills the process. */
function isWhole(file: string): boolean {
  const bytes = Buffer.alloc(META_BYTES);
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    const isMeta = (at: number) =>
      readSync(fd, bytes, 0, META_BYTES, at) === META_BYTES && bytes.readUInt32LE(MAGIC_AT) === MAGIC;
    const isFitting = () => (bytes.readUInt32LE(LAST_PAGE_AT) + 1) * bytes.readUInt32LE(PAGE_SIZE_AT) <= size;
    return isMeta(0) && isFitting() && isMeta(bytes.readUInt32LE(PAGE_SIZE_AT)) && isFitting();
  } finally {
    closeSync(fd);
  }
}
