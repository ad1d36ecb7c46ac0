import type { LoggedChange } from '#shared/feed/changes.ts';
import { fromMessage } from '#shared/feed/inbox-message.ts';
import type { ChangeLog, LogRecord } from '#shared/feed/log.ts';
import { isFault, toLeatError } from '#shared/model/faults.ts';
import { DELIVERIES_MAX, type Delivery, WAIT_MS_MAX, type WorkQueue } from '#shared/ports/work-queue.ts';

/** Applying takes milliseconds; what an agent that died has held comes to the next one then. */
const HOLD_MS = 30_000;
const PAUSE_MS_FIRST = 100;
const PAUSE_MS_MAX = 5000;

export interface InboxDeps {
  readonly queue: Pick<WorkQueue, 'receive' | 'done'>;
  readonly log: Pick<ChangeLog, 'read' | 'last'>;
  /** Kept with what the changes are applied to: it never tells of more than has been applied there. */
  readonly cursor: {
    /** The number of the last record that was applied; undefined for the first time. */
    load(): number | undefined;
    save(sequence: number): void;
  };
  /** In the order of the log, except that a record may come twice, the second time as late as the process has been restarted. */
  readonly apply: (changes: readonly LoggedChange[]) => void | Promise<void>;
  /** Changes are lost: whatever is known of rows may be wrong. */
  readonly lost: () => void | Promise<void>;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
  readonly warn: (line: string) => void;
}

/**
 * An agent's part of the feed. Messages come in any order, twice, or not at all; the numbers of the log's records tell which, and
 * what is missing is read from the log itself. So the queue only has to be quick.
 */
export class Inbox {
  readonly #deps: InboxDeps;
  #at: number | undefined;

  constructor(deps: InboxDeps) {
    this.#deps = deps;
    this.#at = deps.cursor.load();
  }

  /** Until the signal is aborted. Throws `notFound` when the queue is gone: the agent has been taken for gone, and joins anew. */
  async run(signal: AbortSignal): Promise<void> {
    let pause = PAUSE_MS_FIRST;
    for (let isBehind = true; !signal.aborted;) {
      try {
        if (isBehind) await this.catchUp();
        isBehind = false;
        await this.turn(WAIT_MS_MAX, signal);
        pause = PAUSE_MS_FIRST;
      } catch (error) {
        if (isFault(error, 'notFound')) throw error;
        isBehind = true;
        this.#deps.warn(`the feed of changes: ${toLeatError(error).message}`);
        await this.#deps.sleep(pause, signal);
        pause = Math.min(pause * 2, PAUSE_MS_MAX);
      }
    }
  }

  /** Reads the log to its end. */
  async catchUp(): Promise<void> {
    for (;;) {
      const page = this.#at === undefined ? { records: [], isGap: true } : await this.#deps.log.read(this.#at);
      for (const record of page.records) await this.#apply(record);
      if (page.isGap) await this.#beginAnew();
      else if (page.records.length === 0) return;
    }
  }

  /** What comes within a time; silence may also mean that messages are lost. */
  async turn(waitMs: number, signal: AbortSignal): Promise<void> {
    const { queue } = this.#deps;
    const deliveries = await queue.receive({ limit: DELIVERIES_MAX, waitMs, holdMs: HOLD_MS, signal });
    if (signal.aborted) return;
    if (deliveries.length === 0) return this.catchUp();
    const records = deliveries.flatMap((delivery) => this.#recordIn(delivery));
    for (const record of records.toSorted((a, b) => a.sequence - b.sequence)) {
      if (this.#at === undefined || record.sequence > this.#at + 1) await this.catchUp();
      if (record.sequence === (this.#at ?? 0) + 1) await this.#apply(record);
    }
    await queue.done(deliveries);
  }

  async #apply({ sequence, changes }: LogRecord): Promise<void> {
    await this.#deps.apply(changes);
    this.#at = sequence;
    this.#deps.cursor.save(sequence);
  }

  /** The log's end is asked for before anything is forgotten: what is read anew after that holds all changes up to there. */
  async #beginAnew(): Promise<void> {
    const last = await this.#deps.log.last();
    await this.#deps.lost();
    this.#at = last;
    this.#deps.cursor.save(last);
  }

  #recordIn({ body }: Delivery): LogRecord[] {
    try {
      return [fromMessage(body)];
    } catch (error) {
      this.#deps.warn(`a message of the inbox: ${toLeatError(error).message}`);
      return [];
    }
  }
}
