import { closeSync, openSync, readFileSync, renameSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { PAGE_BYTES, PageMap, pagesOf } from '../cache/page-map.ts';

/** The size of the base and its generation, as two f64. */
const HEADER_BYTES = 16;
/** Stands before it all in memory, and not in the file. */
const LOCK_BYTES = 8;
/** A page is only in the base; it is in the file too, and the same; it is another. It goes on from one to the next, never back. */
const MISSING = 1;
const SAME = 2;
const CHANGED = 0;
const PRIVATE = 0o600;

export interface BytesRange {
  readonly offset: number;
  readonly length: number;
}

/** What a cut changes of the page that it goes through, if it goes through one: what stays of it has to be here. */
export const cutRange = (size: number): BytesRange => ({ offset: size, length: size % PAGE_BYTES === 0 ? 0 : 1 });

/**
 * What a dirty file has of its base, the content that it is written upon: what is missing has not been fetched, and what is the
 * same needs not be sent to the store again. A byte for each page, in memory that both threads share and in a file beside it.
 */
export class BasePages {
  /** To be handed to the other thread. */
  readonly memory: SharedArrayBuffer;
  readonly baseBytes: number;
  readonly baseGeneration: number;
  readonly #pages: Uint8Array;
  readonly #lock: Int32Array;
  readonly #path: string;
  #fd: number | undefined;

  constructor(path: string, memory: SharedArrayBuffer) {
    const header = new DataView(memory, LOCK_BYTES);
    this.memory = memory;
    this.baseBytes = header.getFloat64(0);
    this.baseGeneration = header.getFloat64(8);
    this.#pages = new Uint8Array(memory, LOCK_BYTES + HEADER_BYTES);
    this.#lock = new Int32Array(memory, 0, 1);
    this.#path = path;
  }

  /** Nothing has been written yet: the file has all of its base, or nothing. */
  static of(
    path: string,
    { size, generation, isHere }: { readonly size: number; readonly generation: number; readonly isHere: boolean },
  ): BasePages {
    const memory = new SharedArrayBuffer(LOCK_BYTES + HEADER_BYTES + pagesOf(size));
    const header = new DataView(memory, LOCK_BYTES);
    header.setFloat64(0, size);
    header.setFloat64(8, generation);
    new Uint8Array(memory, LOCK_BYTES + HEADER_BYTES).fill(isHere ? SAME : MISSING);
    writeFileSync(path, Buffer.from(memory, LOCK_BYTES), { mode: PRIVATE });
    return new BasePages(path, memory);
  }

  /** What a process before has left; undefined: the file has no base any more. */
  static find(path: string, size: number): BasePages | undefined {
    try {
      const bytes = readFileSync(path);
      const memory = new SharedArrayBuffer(LOCK_BYTES + bytes.length);
      new Uint8Array(memory, LOCK_BYTES).set(bytes);
      const found = new BasePages(path, memory);
      // The file may have been cut, and the process killed before it said so here.
      found.cutTo(size);
      return found;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Some of it is not here. */
  get isPartial(): boolean {
    return this.#pages.includes(MISSING);
  }

  missingIn(range: BytesRange): number[] {
    return this.#pagesOver(range).filter((page) => this.#pages[page] === MISSING);
  }

  /** Missing pages that a write of the range covers in part. */
  missingAtEnds(range: BytesRange): number[] {
    const inner = this.#pagesWithin(range);
    return this.missingIn(range).filter((page) => page < inner.first || page >= inner.end);
  }

  /** Fetched, a page is written, unless somebody has changed it meanwhile. */
  bring(page: number, write: () => void): void {
    this.#alone(() => {
      if (this.#pages[page] !== MISSING) return;
      write();
      this.#set(page, SAME);
    });
  }

  /** Missing pages that `write` covers wholly are here once it has come to its end. */
  change(range: BytesRange, write: () => void): void {
    this.#alone(() => {
      for (const page of this.#pagesOver(range)) if (this.#pages[page] === SAME) this.#set(page, CHANGED);
      write();
      const { first, end } = this.#pagesWithin(range);
      for (let page = first; page < end; page++) this.#change(page);
    });
  }

  /** What lies behind an end of the file is nobody's: when the file grows again, there are zeros. */
  cutTo(size: number): void {
    for (let page = pagesOf(size); page < this.#pages.length; page++) this.#change(page);
  }

  /** As maps: the pages that are here, and of these the ones that are others. */
  get maps(): { readonly here: PageMap; readonly changed: PageMap } {
    const here = new PageMap(this.#pages.length);
    const changed = new PageMap(this.#pages.length);
    for (const [page, state] of this.#pages.entries()) {
      if (state !== MISSING) here.add(page);
      if (state === CHANGED) changed.add(page);
    }
    return { here, changed };
  }

  moveTo(path: string): BasePages {
    renameSync(this.#path, path);
    this.close();
    return new BasePages(path, this.memory);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  remove(): void {
    this.close();
    unlinkSync(this.#path);
  }

  /** Both threads write: what one finds missing, the other leaves alone until it has been written. */
  #alone(act: () => void): void {
    while (Atomics.compareExchange(this.#lock, 0, 0, 1) !== 0) Atomics.wait(this.#lock, 0, 1);
    try {
      act();
    } finally {
      Atomics.store(this.#lock, 0, 0);
      Atomics.notify(this.#lock, 0, 1);
    }
  }

  #change(page: number): void {
    if (this.#pages[page] !== CHANGED) this.#set(page, CHANGED);
  }

  #set(page: number, state: number): void {
    this.#pages[page] = state;
    this.#fd ??= openSync(this.#path, 'r+');
    writeSync(this.#fd, this.#pages, page, 1, HEADER_BYTES + page);
  }

  #pagesOver({ offset, length }: BytesRange): number[] {
    if (length === 0) return [];
    const first = Math.floor(offset / PAGE_BYTES);
    const end = Math.min(pagesOf(offset + length), this.#pages.length);
    return Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
  }

  /** Those that the range covers wholly. The last page of the base may be short: who writes up to its end covers it. */
  #pagesWithin({ offset, length }: BytesRange): { readonly first: number; readonly end: number } {
    const last = offset + length;
    const end = last >= this.baseBytes ? this.#pages.length : Math.floor(last / PAGE_BYTES);
    return { first: Math.ceil(offset / PAGE_BYTES), end: length === 0 ? 0 : end };
  }
}
