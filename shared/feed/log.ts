import { FEED } from '../model/ids.ts';
import type { RecordRow, Row } from '../model/inode.ts';
import { invariant, LeatError } from '../model/faults.ts';
import type { Name } from '../model/names.ts';
import type { Clock } from '../ports/clock.ts';
import type { Metastore } from '../ports/metastore.ts';
import { changesFromText, changesToText, type LoggedChange, type SourcedChange } from './changes.ts';

/** Numbers are without a hole: who has read N and is told of N + 2 knows that one is missing. */
export interface LogRecord {
  readonly sequence: number;
  readonly changes: readonly LoggedChange[];
}

export interface LogPage {
  /** Ascending, without a hole; none when the log ends at `after`, or at a gap. */
  readonly records: readonly LogRecord[];
  /** What followed `after` is not in the log any more, or `after` is not of this log. */
  readonly isGap: boolean;
}

export const RECORD_CHANGES_MAX = 100;
/** Of an item of DynamoDB 400 KiB, of a message of SQS 256 KiB. */
const RECORD_BYTES_MAX = 200_000;
export const LOG_LIFE_MS = 24 * 3600 * 1000;
const APPEND_ATTEMPTS_MAX = 100;
const PAGE_RECORDS = 16;
const DIGITS = 16;
const VERSIONS = 2 ** 32;

/** Sorts before every number. A log that nobody writes to for a day is empty, and has to know how far it had come. */
const LAST_KEY = { directory: FEED, name: '!last' as Name };
const keyOf = (sequence: number) => ({ directory: FEED, name: String(sequence).padStart(DIGITS, '0') as Name });

/**
 * The changes of the last day, in order, as records of the metastore. Appenders agree on the order by the rows alone: each puts
 * its record at the first free number. The number of the last one is written down behind, and may lag by what an appender
 * that died had put; so whoever reads it looks for more.
 */
export class ChangeLog {
  readonly #metastore: Metastore;
  readonly #clock: Clock;
  /** The last record that we know of, and when we learnt it. */
  #known: { readonly sequence: number; readonly at: number } | undefined;
  #written: number | undefined;

  constructor({ metastore, clock }: { readonly metastore: Metastore; readonly clock: Clock }) {
    this.#metastore = metastore;
    this.#clock = clock;
  }

  /** In their order, in as many records as it takes. What fails half-way is to be appended again, and then is there twice. */
  async append(changes: readonly SourcedChange[]): Promise<LogRecord[]> {
    const records: LogRecord[] = [];
    for (let at = 0; at < changes.length; at += RECORD_CHANGES_MAX) {
      records.push(await this.#appendOne(changes.slice(at, at + RECORD_CHANGES_MAX)));
    }
    const last = records.at(-1);
    if (last) await this.#writeLast(last.sequence);
    return records;
  }

  async read(after: number, limit = PAGE_RECORDS): Promise<LogPage> {
    const found = unbroken(after, await this.#list(after, limit));
    if (found.records.length > 0) return { records: found.records, isGap: false };
    // A number is taken once the one before it is. A list that was read meanwhile may have passed the place of the first before
    // it was put and have met the second; the row itself tells, when it is asked for after all that says that it has to be there.
    const last = await this.last();
    const [first] = await this.#metastore.get([keyOf(after + 1)]);
    if (first) return { records: [recordOf(after + 1, first)], isGap: false };
    return { records: [], isGap: found.isBroken || after !== last };
  }

  /** The number of the last record; 0 before the first. */
  async last(): Promise<number> {
    let last = await this.#readWritten();
    for (
      let page = await this.#list(last, PAGE_RECORDS);
      page.length > 0;
      page = await this.#list(last, PAGE_RECORDS)
    ) {
      last = page.at(-1)?.sequence ?? last;
    }
    return last;
  }

  async #appendOne(changes: readonly SourcedChange[]): Promise<LogRecord> {
    const body = changesToText(changes);
    invariant(body.length <= RECORD_BYTES_MAX, `a record of ${body.length} bytes in the log of changes`);
    for (let i = 0; i < APPEND_ATTEMPTS_MAX; i++) {
      const sequence = (await this.#lastKnown()) + 1;
      const at = this.#clock();
      const row: RecordRow = { kind: 'record', version: 1, body, expiresAt: at + LOG_LIFE_MS };
      const { committed } = await this.#metastore.commit([{ act: 'put', key: keyOf(sequence), when: 'absent', row }]);
      this.#known = committed ? { sequence, at } : undefined;
      if (committed) return recordOf(sequence, row);
    }
    const next = `others were quicker ${APPEND_ATTEMPTS_MAX} times while we tried; append again`;
    throw new LeatError('contended', `the log of changes: ${next}`);
  }

  /** What we have known for long may have been passed by others, and their records have ended by now. */
  async #lastKnown(): Promise<number> {
    const known = this.#known;
    return known && this.#clock() - known.at < LOG_LIFE_MS / 2 ? known.sequence : this.last();
  }

  /** Forwards only. Versions are of 32 bits. */
  async #writeLast(last: number): Promise<void> {
    for (;;) {
      const before = this.#written ?? (await this.#readWritten());
      if (before >= last) return;
      const when = before === 0 ? 'absent' : { version: before % VERSIONS };
      const row: RecordRow = { kind: 'record', version: last % VERSIONS, body: String(last) };
      const { committed } = await this.#metastore.commit([{ act: 'put', key: LAST_KEY, when, row }]);
      this.#written = committed ? last : undefined;
      if (committed) return;
    }
  }

  async #readWritten(): Promise<number> {
    const [row] = await this.#metastore.get([LAST_KEY]);
    return row?.kind === 'record' ? Number(row.body) : 0;
  }

  async #list(after: number, limit: number): Promise<LogRecord[]> {
    const rows = await this.#metastore.list(FEED, { after: keyOf(after).name, limit });
    return rows.map(({ name, row }) => recordOf(Number(name), row));
  }
}

function recordOf(sequence: number, row: Row): LogRecord {
  if (row.kind !== 'record') throw new LeatError('corrupt', `the log of changes: number ${sequence} is no record`);
  return { sequence, changes: changesFromText(row.body) };
}

/** Up to the first hole: engines remove what has ended in any order. */
function unbroken(after: number, found: readonly LogRecord[]) {
  const hole = found.findIndex(({ sequence }, i) => sequence !== after + 1 + i);
  return { records: hole < 0 ? found : found.slice(0, hole), isBroken: hole >= 0 };
}
