import { LeatError } from '#shared/model/faults.ts';
import type { CachedContent } from './cached-content.ts';
import type { CachedFile, Fetch, Room } from './data-cache.ts';
import type { FetchGate } from './fetch-gate.ts';
import { SLICE_PAGES } from './housing.ts';
import type { LocalTrouble } from './local-trouble.ts';
import { interrupted, shortContent } from './page-fetches.ts';
import { PAGE_BYTES, pagesOf } from './page-map.ts';
import type { PageRange, Stream } from './readahead.ts';
import { advance, FETCH_PAGES_MAX, PARALLEL_FETCHES, UNREAD } from './readahead.ts';

/** How often a read comes back to the cache after what it waited for was evicted, or the local file went bad, before it does without. */
const ATTEMPTS_MAX = 4;

export interface OpenFileDeps {
  readonly content: CachedContent;
  readonly fetch: Fetch;
  readonly gate: FetchGate;
  readonly trouble: LocalTrouble;
  readonly windowBytesMax: number;
  /** When there may be room although there is none now. */
  readonly roomToCome: () => Promise<void> | undefined;
  readonly onHit: (bytes: number) => void;
  readonly onBypass: (bytes: number) => void;
  readonly onClose: () => void;
}

/** One user of a content: knows how it reads, and gets the bytes from the cache or, where that cannot keep them, past it. */
export class OpenFile implements CachedFile {
  readonly #deps: OpenFileDeps;
  #stream: Stream = UNREAD;
  #slice = -1;
  #closed = false;

  constructor(deps: OpenFileDeps) {
    this.#deps = deps;
  }

  async read(into: Uint8Array | Room, offset: number, signal?: AbortSignal): Promise<number> {
    const { content } = this.#deps;
    const length = Math.max(0, Math.min(into.length, content.size - offset));
    if (length === 0) return 0;
    this.#checkOpen();
    const target = targetIn(into, length);
    const needed = { first: Math.floor(offset / PAGE_BYTES), end: pagesOf(offset + length) };
    this.#stream = advance(this.#stream, { offset, length }, this.#deps.windowBytesMax);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      content.attach();
      const kept = this.#deps.trouble.present || this.#request(needed);
      if (content.holds(needed)) {
        if (await this.#readHere(target(), offset)) {
          this.#count(needed.first, attempt === 0 ? length : 0);
          return length;
        }
      } else if (kept && !this.#deps.trouble.present) {
        await content.arrival(needed, { signal });
      } else if (!(await this.#roomCame(signal))) break;
    }
    return this.#bypass({ target, length }, offset, signal);
  }

  async load(signal?: AbortSignal): Promise<boolean> {
    const { content } = this.#deps;
    this.#checkOpen();
    content.loads++;
    try {
      return await this.#loadAll(signal);
    } finally {
      content.loads--;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deps.onClose();
  }

  async #loadAll(signal: AbortSignal | undefined): Promise<boolean> {
    const { content, trouble } = this.#deps;
    // Every round brings a page or meets trouble; the limit is for trouble that does not end.
    for (let round = 0; round < 2 * content.pages + ATTEMPTS_MAX; round++) {
      content.attach();
      if (content.sealed) return true;
      if (!content.sealable || trouble.present) return false;
      if (!(await this.#loadMore(signal)) && !(await this.#roomCame(signal))) return false;
    }
    return content.sealed;
  }

  async #loadMore(signal: AbortSignal | undefined): Promise<boolean> {
    const { content, fetch } = this.#deps;
    const { pages } = content;
    if (pages === 0) return content.sealEmpty();
    const first = content.firstMissing();
    if (first === pages) {
      await content.arrival({ first: 0, end: pages }, { untilIdle: true, signal });
      return true;
    }
    const needed = { first, end: first + 1 };
    const aheadEnd = Math.min(first + PARALLEL_FETCHES * FETCH_PAGES_MAX, pages);
    if (!content.request({ needed, aheadEnd, pages }, fetch)) return false;
    await content.arrival(needed, { untilIdle: pages === 1, signal });
    return true;
  }

  #request(needed: PageRange): boolean {
    const { content, fetch } = this.#deps;
    const { pages } = content;
    const aheadEnd = Math.min(pagesOf(this.#stream.position + this.#stream.windowBytes), pages);
    const streams = this.#stream.windowBytes > 0;
    return content.request({ needed, aheadEnd: streams ? Math.max(aheadEnd, needed.end) : needed.end, pages }, fetch);
  }

  /** False: the local file is not what it should be, and has been thrown away. */
  async #readHere(target: Uint8Array, offset: number): Promise<boolean> {
    const { content } = this.#deps;
    try {
      const reading = content.read(target, offset);
      const count = typeof reading === 'number' ? reading : await reading;
      if (count === target.length) return true;
      content.failedLocally(new Error(`it ends after ${offset + count} of ${content.size} bytes`));
    } catch (error) {
      content.failedLocally(error);
    }
    return false;
  }

  async #roomCame(signal: AbortSignal | undefined): Promise<boolean> {
    const room = this.#deps.roomToCome();
    if (!room) return false;
    await orInterrupted(room, signal);
    return true;
  }

  /** Straight from the store into the reader's memory, exactly what it asked for. */
  async #bypass(
    { target: take, length }: { readonly target: () => Uint8Array; readonly length: number },
    offset: number,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const range = { offset, length };
    const turn = {};
    const wait = this.#deps.gate.enter(turn, true);
    if (wait) await this.#waitForTurn(turn, wait, signal);
    let done = 0;
    try {
      const target = take();
      const sink = (bytes: Uint8Array) => {
        if (done + bytes.length > target.length)
          throw new LeatError('corrupt', 'the store sent more than was asked for');
        target.set(bytes, done);
        done += bytes.length;
      };
      await this.#deps.fetch(range, sink, signal ?? NEVER);
    } catch (error) {
      throw signal?.aborted ? interrupted() : error;
    } finally {
      this.#deps.gate.leave();
    }
    if (done < length) throw shortContent(range, offset + done);
    this.#deps.onBypass(done);
    return done;
  }

  async #waitForTurn(turn: object, wait: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    try {
      await orInterrupted(wait, signal);
    } catch (error) {
      if (!this.#deps.gate.withdraw(turn)) this.#deps.gate.leave();
      throw error;
    }
  }

  /** A slice is used once each time that the reader comes to it: what counts is coming back, not the number of small reads. */
  #count(page: number, hitBytes: number): void {
    const slice = Math.floor(page / SLICE_PAGES);
    this.#deps.onHit(hitBytes);
    if (slice === this.#slice) return;
    this.#slice = slice;
    if (hitBytes > 0) this.#deps.content.touch(page);
  }

  #checkOpen(): void {
    if (this.#closed) throw new LeatError('invalid', 'the file has been closed; open it again');
  }
}

/** The first `length` bytes of the memory, taken when it is first needed. */
function targetIn(into: Uint8Array | Room, length: number): () => Uint8Array {
  let taken: Uint8Array | undefined;
  return () => (taken ??= ('take' in into ? into.take() : into).subarray(0, length));
}

const NEVER = new AbortController().signal;

async function orInterrupted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return promise;
  if (signal.aborted) throw interrupted();
  let interrupt = () => {};
  const aborted = new Promise<never>((_, reject) => {
    interrupt = () => reject(interrupted());
    signal.addEventListener('abort', interrupt, { once: true });
  });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}
