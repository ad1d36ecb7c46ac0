import { LeatError, toLeatError } from '#shared/model/faults.ts';
import type { ByteRange, Sink } from '#shared/ports/under-store.ts';
import type { Fetch } from './data-cache.ts';
import type { FetchGate, Turn } from './fetch-gate.ts';
import { PAGE_BYTES } from './page-map.ts';
import type { PageRange } from './readahead.ts';

/** Where the bytes go. All of it is synchronous: bytes from a socket are only valid during the call. */
export interface PageTarget {
  readonly size: number;
  has(page: number): boolean;
  /** Throws when the local file system does. */
  write(bytes: Uint8Array, position: number): void;
  completed(page: number): void;
  /** Those of the pages that have not been begun will not be written after all. */
  released(pages: PageRange): void;
  /** A fetch has ended, and with it perhaps the last. */
  fetched(): void;
  failedLocally(error: unknown): void;
}

interface PageFetch extends Turn, PageRange {
  /** The next byte to come. */
  at: number;
  readonly endByte: number;
  /** It serves a stream, so it goes on when the reader that waits for its first page loses interest. */
  readonly ahead: boolean;
  readonly fetch: Fetch;
  readonly controller: AbortController;
  over: boolean;
  localFailure?: unknown;
}

interface Waiter extends PageRange {
  /** Not content with the pages: the fetches must have ended, so that the content is sealed if it can be. */
  readonly untilIdle: boolean;
  wake(): void;
  fail(error: LeatError): void;
}

/** The fetches of one content and the readers that wait for them. A page is fetched once, however many wait for it. */
export class PageFetches {
  readonly #target: PageTarget;
  readonly #gate: FetchGate;
  readonly #fetches: PageFetch[] = [];
  readonly #waiters = new Set<Waiter>();

  constructor(target: PageTarget, gate: FetchGate) {
    this.#target = target;
    this.#gate = gate;
  }

  get count(): number {
    return this.#fetches.length;
  }

  covers(page: number): boolean {
    return this.#fetches.some((fetching) => page >= fetching.first && page < fetching.end);
  }

  touches(range: PageRange): boolean {
    return this.#fetches.some((fetching) => overlap(fetching, range));
  }

  start(range: PageRange, fetch: Fetch, ahead: boolean): void {
    const fetching: PageFetch = {
      ...range,
      at: range.first * PAGE_BYTES,
      endByte: Math.min(range.end * PAGE_BYTES, this.#target.size),
      ahead,
      fetch,
      controller: new AbortController(),
      over: false,
    };
    this.#fetches.push(fetching);
    void this.#run(fetching);
  }

  /**
   * Resolves when the pages are here, or when nobody fetches those that are missing (then the reader asks again); rejects with
   * the failure of a fetch that was to bring one of them.
   */
  arrival(range: PageRange, options: { untilIdle?: boolean; signal?: AbortSignal | undefined }): Promise<void> {
    const { untilIdle = false, signal } = options;
    for (const fetching of this.#fetches) if (overlap(fetching, range)) this.#gate.promote(fetching);
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', interrupt);
      };
      const interrupt = () => {
        leave();
        reject(interrupted());
        this.#abandonUnwanted();
      };
      const waiter: Waiter = {
        ...range,
        untilIdle,
        wake: () => (leave(), resolve()),
        fail: (error) => (leave(), reject(error)),
      };
      this.#waiters.add(waiter);
      if (signal?.aborted) interrupt();
      else if (this.#isOver(waiter)) waiter.wake();
      else signal?.addEventListener('abort', interrupt, { once: true });
    });
  }

  /** Ends all fetches; whoever waits asks again. */
  abandonAll(): void {
    for (const fetching of this.#fetches.slice()) this.#abandon(fetching);
    for (const waiter of this.#waiters) waiter.wake();
  }

  async #run(fetching: PageFetch): Promise<void> {
    let failure: unknown;
    const turn = this.#gate.enter(fetching, !fetching.ahead);
    if (turn) await turn;
    try {
      const range: ByteRange = { offset: fetching.at, length: fetching.endByte - fetching.at };
      if (!fetching.over) await fetching.fetch(range, this.#sinkOf(fetching), fetching.controller.signal);
      if (fetching.at < fetching.endByte) failure = shortContent(range, fetching.at);
    } catch (error) {
      failure = error;
    }
    this.#gate.leave();
    if (!fetching.over) this.#finish(fetching, failure);
  }

  #sinkOf(fetching: PageFetch): Sink {
    return (bytes) => {
      if (fetching.over) throw interrupted();
      if (fetching.at + bytes.length > fetching.endByte) {
        throw new LeatError(
          'corrupt',
          `the store sent more than bytes ${fetching.first * PAGE_BYTES}-${fetching.endByte}`,
        );
      }
      try {
        this.#target.write(bytes, fetching.at);
      } catch (error) {
        fetching.localFailure = error;
        throw error;
      }
      let page = Math.floor(fetching.at / PAGE_BYTES);
      fetching.at += bytes.length;
      for (; isWritten(page, fetching); page++) this.#complete(page);
    };
  }

  #complete(page: number): void {
    this.#target.completed(page);
    for (const waiter of this.#waiters) if (includes(waiter, page) && this.#isOver(waiter)) waiter.wake();
  }

  #finish(fetching: PageFetch, failure: unknown): void {
    this.#remove(fetching);
    if (fetching.localFailure !== undefined) return this.#target.failedLocally(fetching.localFailure);
    this.#target.fetched();
    const error = failure === undefined ? undefined : toLeatError(failure);
    for (const waiter of this.#waiters) {
      if (!overlap(waiter, fetching)) {
        if (waiter.untilIdle && this.#isOver(waiter)) waiter.wake();
      } else if (error && this.#misses(waiter, fetching)) waiter.fail(error);
      else if (this.#isOver(waiter)) waiter.wake();
    }
  }

  #abandon(fetching: PageFetch): void {
    this.#remove(fetching);
    if (this.#gate.withdraw(fetching)) return;
    fetching.controller.abort(interrupted());
  }

  #remove(fetching: PageFetch): void {
    fetching.over = true;
    this.#fetches.splice(this.#fetches.indexOf(fetching), 1);
    this.#target.released(fetching);
  }

  #abandonUnwanted(): void {
    const isWanted = (fetching: PageFetch) => [...this.#waiters].some((waiter) => overlap(waiter, fetching));
    for (const fetching of this.#fetches.slice()) if (!fetching.ahead && !isWanted(fetching)) this.#abandon(fetching);
  }

  /** All pages here, or some of them missing and not on their way. */
  #isOver(waiter: Waiter): boolean {
    if (waiter.untilIdle) return this.#fetches.length === 0;
    let coming = false;
    for (let page = waiter.first; page < waiter.end; page++) {
      if (this.#target.has(page)) continue;
      if (!this.covers(page)) return true;
      coming = true;
    }
    return !coming;
  }

  #misses(waiter: PageRange, pages: PageRange): boolean {
    for (let page = Math.max(waiter.first, pages.first); page < Math.min(waiter.end, pages.end); page++) {
      if (!this.#target.has(page)) return true;
    }
    return false;
  }
}

export function interrupted(): LeatError {
  return new LeatError('interrupted', 'the read was cancelled by who asked for it');
}

export function shortContent(range: ByteRange, end: number): LeatError {
  return new LeatError(
    'changed',
    `the store holds ${end - range.offset} of the ${range.length} bytes at ${range.offset}: the object is shorter than it was listed; look it up again`,
  );
}

function isWritten(page: number, fetching: PageFetch): boolean {
  return page < fetching.end && Math.min((page + 1) * PAGE_BYTES, fetching.endByte) <= fetching.at;
}

function overlap(one: PageRange, other: PageRange): boolean {
  return one.first < other.end && other.first < one.end;
}

function includes(range: PageRange, page: number): boolean {
  return page >= range.first && page < range.end;
}
