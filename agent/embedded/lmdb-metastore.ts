import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Key, open, type RootDatabase } from 'lmdb';
import { isFault, LeatError } from '#shared/model/faults.ts';
import { FIRST_FREE_ID, sequentialId, TOKENS } from '#shared/model/ids.ts';
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

const FORMAT = 1;
const BATCH_MAX = 1000;
const ID_BLOCK = 10_000;
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
 * Rows in an LMDB file that worker threads read beside us. Commits that wait together are applied in one write transaction:
 * a transaction costs some 0.3 ms whatever is in it. LMDB keeps the last synced snapshot whole, and syncs behind.
 */
export function lmdbMetastore({ dir, feed, clock, durability }: LmdbMetastoreOptions): EmbeddedMetastore {
  mkdirSync(dir, { recursive: true });
  const rowsFile = join(dir, 'namespace.mdb');
  const db = open(lmdbOptions(rowsFile));
  const identity = checkFormat(db, dir);
  const table = rowTable(db);
  let waiting: Waiting[] = [];

  function flush(): void {
    const batch = waiting.splice(0, BATCH_MAX);
    if (waiting.length > 0) setImmediate(flush);
    try {
      const applied = db.transactionSync(() =>
        batch.map(({ changes, options }) => attempt(table, changes, options, clock())),
      );
      sweepTokens(db, table, clock());
      for (const [i, { options }] of batch.entries()) publish(options, applied[i]);
      const answer = () => batch.forEach((commit, i) => settle(commit, applied[i]));
      if (durability === 'strict') void db.flushed.then(answer, (error: unknown) => refuse(batch, dir, error));
      else answer();
    } catch (error) {
      refuse(batch, dir, error);
    }
  }

  function publish(options: CommitOptions, applied: Applied | Error | undefined): void {
    if (applied && !(applied instanceof Error) && applied.changes.length > 0) {
      feed.publish({ source: options.source, changes: applied.changes });
    }
  }

  return {
    identity,
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
    async flushed() {
      await db.flushed;
    },
    async close() {
      await db.flushed;
      await db.close();
    },
  };
}

function rowTable(db: RootDatabase<Buffer, Key>): RowTable {
  const bytesOf = (key: RowKey) => rowKeyBytes(key.directory, key.name);
  return {
    get(key) {
      const bytes = db.getBinary(bytesOf(key));
      return bytes && decodeRow(bytes);
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

/** One bad commit (a broken promise of a caller) must not fail the others of its batch. */
function attempt(table: RowTable, changes: readonly Change[], options: CommitOptions, now: number): Applied | Error {
  try {
    return applyCommit(table, changes, options, now);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function settle(commit: Waiting, applied: Applied | Error | undefined): void {
  if (applied instanceof Error || !applied) commit.reject(applied);
  else commit.resolve(applied.result);
}

function refuse(batch: readonly Waiting[], dir: string, cause: unknown): void {
  const error = isFault(cause)
    ? cause
    : new LeatError('unavailable', `${dir}: the metastore could not be written; check that its disk has room`, {
        cause,
      });
  for (const { reject } of batch) reject(error);
}

/** Dead tokens are in no order of time, so a few from a place that moves are looked at after each batch. */
function sweepTokens(db: RootDatabase<Buffer, Key>, table: RowTable, now: number): void {
  const range = { start: rowKeyBytes(TOKENS, ''), end: rangeEnd(TOKENS), limit: TOKEN_SWEEP_MAX };
  const keys = [...db.getKeys(range)].map((key) => (key as Buffer).toString('latin1', TOKENS.length) as Name);
  for (const name of keys) {
    const key = { directory: TOKENS, name };
    if (!isAlive(table.get(key), now)) table.remove(key);
  }
}

// No id starts with 0xff: sequential ones would have to pass 2^47.
const META_FORMAT = Buffer.from('\xffformat', 'latin1');
const META_IDENTITY = Buffer.from('\xffidentity', 'latin1');
const META_NEXT_ID = Buffer.from('\xffnext-id', 'latin1');

function checkFormat(db: RootDatabase<Buffer, Key>, dir: string): string {
  const format = db.getBinary(META_FORMAT)?.toString();
  if (format !== undefined && Number(format) > FORMAT) {
    throw new LeatError(
      'corrupt',
      `${dir} was written by a newer Leat (format ${format}, this one reads ${FORMAT}): use that one`,
    );
  }
  const identity = db.getBinary(META_IDENTITY)?.toString() ?? crypto.randomUUID();
  db.transactionSync(() => {
    void db.put(META_FORMAT, Buffer.from(String(FORMAT)));
    void db.put(META_IDENTITY, Buffer.from(identity));
  });
  return identity;
}

/** Ids are reserved a block at a time, before the first of a block is used: a crash wastes ids and never repeats one. */
function idBlocks(db: RootDatabase<Buffer, Key>): EmbeddedMetastore['newId'] {
  let next = 0;
  let end = 0;
  return () => {
    if (next === end) {
      next = Number(db.getBinary(META_NEXT_ID)?.toString() ?? FIRST_FREE_ID);
      end = next + ID_BLOCK;
      db.transactionSync(() => void db.put(META_NEXT_ID, Buffer.from(String(end))));
    }
    return sequentialId(next++);
  };
}
