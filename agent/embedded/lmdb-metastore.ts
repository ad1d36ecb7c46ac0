import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Key, open, type RootDatabase } from 'lmdb';
import { isFault, LeatError } from '#shared/model/faults.ts';
import { ABOVE_ROOT, FIRST_FREE_ID, sequentialId, TOKENS } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import { decodeRow, encodeRow } from '#shared/model/row-codec.ts';
import type { Clock } from '#shared/ports/clock.ts';
import type { Change, CommitOptions, CommitResult, ListedRow, RowKey } from '#shared/ports/metastore.ts';
import type { LocalFeed } from './change-feed.ts';
import { type Applied, applyCommit, isAlive, type RowTable } from './commit.ts';
import type { EmbeddedMetastore } from './heap-metastore.ts';
import { lmdbOptions } from './lmdb-rows.ts';
import { rangeEnd, rowKeyBytes } from './row-keys.ts';
import { SyncBehind } from './sync-behind.ts';
import { restoreSyncedPages, SyncedPages } from './synced-pages.ts';

const FORMAT = 1;
/** Of one transaction, which the event loop waits for: some 5 ms. */
const BATCH_CHANGES_MAX = 1000;
const ID_BLOCK = 10_000;
const LOST_IDS_MAX = 2 ** 32;
const TOKEN_SWEEP_MAX = 100;

export interface LmdbMetastoreOptions {
  readonly dir: string;
  readonly feed: LocalFeed;
  readonly clock: Clock;
  /** `strict`: commits answer once they are on disk. */
  readonly durability: 'relaxed' | 'strict';
}

interface Waiting {
  readonly changes: readonly Change[];
  readonly options: CommitOptions;
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Rows in an LMDB file that worker threads read beside us. Commits that wait together are applied in one write transaction,
 * because its pages are written once then. The sync to disk follows behind.
 */
export function lmdbMetastore({ dir, feed, clock, durability }: LmdbMetastoreOptions): EmbeddedMetastore {
  mkdirSync(dir, { recursive: true });
  const rowsFile = join(dir, 'rows.mdb');
  const isRestored = restoreSyncedPages(rowsFile);
  const db = open(lmdbOptions(rowsFile));
  demandFormat(db, dir);
  // Before anything is written: what the last process kept aside is held by nobody yet.
  const pages = new SyncedPages(db, rowsFile);
  const behind = new SyncBehind(() => pages.sync());
  const identity = identify(db, isRestored);
  const namespaceId = keptName(db);
  behind.changed(1);
  const table = rowTable(db);
  const sweep = tokenSweep(db, table);
  const waiting: Waiting[] = [];

  function flush(): void {
    const { pressure } = behind;
    if (pressure) return void pressure.then(flush);
    const batch = nextBatch(waiting);
    if (waiting.length > 0) setImmediate(flush);
    const now = clock();
    try {
      behind.demandWorking();
      const applied = transact(
        db,
        batch,
        ({ changes, options }) => applyCommit(table, changes, options, now),
        () => {
          if (batch.some(({ options }) => options.token !== undefined)) sweep(now);
        },
      );
      behind.changed(batch.reduce((sum, { changes }) => sum + changes.length, 0));
      for (const { commit, outcome } of applied) publish(commit, outcome);
      const answer = () => applied.forEach(({ commit, outcome }) => commit.resolve(outcome.result));
      if (durability === 'strict') behind.synced().then(answer, (error: unknown) => refuse(batch, dir, error));
      else answer();
    } catch (error) {
      refuse(batch, dir, error);
    }
  }

  function publish({ options }: Waiting, { changes }: Applied): void {
    if (changes.length > 0) feed.publish({ source: options.source, changes });
  }

  return {
    identity,
    namespaceId,
    rowsFile,
    newId: idBlocks(db),
    async get(keys) {
      return keys.map((key) => table.get(key));
    },
    async list(directory, { after, limit }) {
      const start = rowKeyBytes(directory, after === undefined ? '' : `${after}\0`);
      const rows: ListedRow[] = [];
      for (const { key, value } of db.getRange({ start, end: rangeEnd(directory), limit })) {
        rows.push({
          name: (key as Buffer).toString('latin1', directory.length) as Name,
          row: decodeRow(value as Uint8Array),
        });
      }
      return rows;
    },
    commit(changes, options = {}) {
      return new Promise((resolve, reject) => {
        waiting.push({ changes, options, resolve, reject });
        if (waiting.length === 1) setImmediate(flush);
      });
    },
    flushed: () => behind.synced().catch((error: unknown) => Promise.reject(unwritable(dir, error))),
    async close() {
      while (waiting.length > 0) await new Promise((resolve) => setImmediate(resolve));
      const isSynced = await behind.synced().then(
        () => true,
        () => false,
      );
      pages.close(isSynced);
      await db.close();
    },
  };
}

function nextBatch(waiting: Waiting[]): Waiting[] {
  let size = 0;
  const end = waiting.findIndex(({ changes }) => (size += changes.length) > BATCH_CHANGES_MAX);
  return waiting.splice(0, end === -1 ? waiting.length : Math.max(end, 1));
}

interface Done {
  readonly commit: Waiting;
  readonly outcome: Applied;
}

/**
 * One transaction for a batch. A commit that throws breaks a promise of its caller; it may have written a half of its changes
 * by then, so the transaction is given up, and made again without it.
 */
function transact(
  db: RootDatabase<Buffer, Key>,
  batch: readonly Waiting[],
  apply: (commit: Waiting) => Applied,
  last: () => void,
): readonly Done[] {
  let rest = batch;
  for (;;) {
    let broken: Waiting | undefined;
    try {
      return db.transactionSync(() => {
        const done = rest.map((commit) => {
          broken = commit;
          return { commit, outcome: apply(commit) };
        });
        broken = undefined;
        last();
        return done;
      });
    } catch (error) {
      if (!broken || isOfEngine(error)) throw error;
      broken.reject(error);
      rest = rest.filter((each) => each !== broken);
    }
  }
}

/** LMDB's errors carry its number: it cannot write, whatever the commit. */
function isOfEngine(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'number';
}

function rowTable(db: RootDatabase<Buffer, Key>): RowTable {
  const bytesOf = (key: RowKey) => rowKeyBytes(key.directory, key.name);
  return {
    get(key) {
      const bytes = db.getBinaryFast(bytesOf(key));
      // LMDB's buffer is longer than the row, and the next read writes into it: rows do not keep any of it.
      return bytes && decodeRow(bytes.subarray(0, bytes.length));
    },
    put(key, row: Row) {
      const bytes = encodeRow(row);
      void db.put(bytesOf(key), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    },
    remove(key) {
      void db.remove(bytesOf(key));
    },
  };
}

function refuse(batch: readonly Waiting[], dir: string, cause: unknown): void {
  const error = isFault(cause) ? cause : unwritable(dir, cause);
  for (const { reject } of batch) reject(error);
}

function unwritable(dir: string, cause: unknown): LeatError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const what = `the metastore could not be written (${reason}); check that its disk has room`;
  return new LeatError('unavailable', `${dir}: ${what}`, { cause });
}

/** Dead tokens lie in no order of time: a few are looked at each time, from where the last time ended. */
function tokenSweep(db: RootDatabase<Buffer, Key>, table: RowTable): (now: number) => void {
  let from: Name | undefined;
  return (now) => {
    const start = rowKeyBytes(TOKENS, from === undefined ? '' : `${from}\0`);
    const range = { start, end: rangeEnd(TOKENS), limit: TOKEN_SWEEP_MAX };
    const names = [...db.getKeys(range)].map((key) => (key as Buffer).toString('latin1', TOKENS.length) as Name);
    for (const name of names) {
      const key = { directory: TOKENS, name };
      if (!isAlive(table.get(key), now)) table.remove(key);
    }
    from = names.length === TOKEN_SWEEP_MAX ? names.at(-1) : undefined;
  };
}

// Before all rows of ids that are handed out, and at names that no path has. Behind them the newest rows would never be the
// last of the tree, and LMDB leaves pages full only where it grows at its end.
const metaKey = (name: string) => rowKeyBytes(ABOVE_ROOT, `\0${name}`);
const META_FORMAT = metaKey('format');
const META_IDENTITY = metaKey('identity');
const META_NAME = metaKey('name');
const META_NEXT_ID = metaKey('next-id');

function demandFormat(db: RootDatabase<Buffer, Key>, dir: string): void {
  const format = Number(db.getBinary(META_FORMAT)?.toString() ?? FORMAT);
  if (format <= FORMAT) return;
  void db.close();
  const what = `was written by a newer Leat (format ${format}, this one reads ${FORMAT})`;
  throw new LeatError('corrupt', `${dir} ${what}: use that one`);
}

/** After a power failure the last ids and generations were not written: whoever kept contents by them must not meet them again. */
function identify(db: RootDatabase<Buffer, Key>, isRestored: boolean): string {
  const known = isRestored ? undefined : db.getBinary(META_IDENTITY)?.toString();
  const identity = known ?? crypto.randomUUID();
  db.transactionSync(() => {
    void db.put(META_FORMAT, Buffer.from(String(FORMAT)));
    void db.put(META_IDENTITY, Buffer.from(identity));
    if (isRestored) void db.put(META_NEXT_ID, Buffer.from(String(nextIdIn(db) + LOST_IDS_MAX)));
  });
  return identity;
}

/** The same for as long as there are these rows, also as they were a moment before a power loss. */
function keptName(db: RootDatabase<Buffer, Key>): string {
  const known = db.getBinary(META_NAME)?.toString();
  const name = known ?? crypto.randomUUID();
  if (known === undefined) db.transactionSync(() => void db.put(META_NAME, Buffer.from(name)));
  return name;
}

function nextIdIn(db: RootDatabase<Buffer, Key>): number {
  return Number(db.getBinary(META_NEXT_ID)?.toString() ?? FIRST_FREE_ID);
}

/** Ids are reserved a block at a time, before the first of a block is used: a crash wastes ids and never repeats one. */
function idBlocks(db: RootDatabase<Buffer, Key>): EmbeddedMetastore['newId'] {
  let next = 0;
  let end = 0;
  return () => {
    if (next === end) {
      const first = nextIdIn(db);
      db.transactionSync(() => void db.put(META_NEXT_ID, Buffer.from(String(first + ID_BLOCK))));
      next = first;
      end = first + ID_BLOCK;
    }
    return sequentialId(next++);
  };
}
