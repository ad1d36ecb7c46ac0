import { closeSync, openSync, readFileSync, renameSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { PAGE_BYTES, PageMap, pagesOf } from '../cache/page-map.ts';

/** Of the base that the missing pages are in: its size and its generation, as two f64. */
const HEADER_BYTES = 16;
const MISSING = 1;
const PRIVATE = 0o600;

interface BytesRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * The pages of a dirty file that are only in the content it is written upon. A byte for each, in memory that both threads share
 * and in a file beside it: whoever brings a page, or overwrites it, says so, and nobody ever says the opposite, so neither needs
 * to wait for the other.
 */
export class MissingPages {
  /** To be handed to the other thread. */
  readonly memory: SharedArrayBuffer;
  readonly baseBytes: number;
  readonly baseGeneration: number;
  readonly #pages: Uint8Array;
  readonly #path: string;
  #fd: number | undefined;

  constructor(path: string, memory: SharedArrayBuffer) {
    const header = new DataView(memory);
    this.memory = memory;
    this.baseBytes = header.getFloat64(0);
    this.baseGeneration = header.getFloat64(8);
    this.#pages = new Uint8Array(memory, HEADER_BYTES);
    this.#path = path;
  }

  /** All pages of the base. */
  static of(path: string, base: { readonly size: number; readonly generation: number }): MissingPages {
    const memory = new SharedArrayBuffer(HEADER_BYTES + pagesOf(base.size));
    const header = new DataView(memory);
    header.setFloat64(0, base.size);
    header.setFloat64(8, base.generation);
    new Uint8Array(memory, HEADER_BYTES).fill(MISSING);
    writeFileSync(path, Buffer.from(memory), { mode: PRIVATE });
    return new MissingPages(path, memory);
  }

  /** What a process before has left; undefined: nothing is missing. */
  static find(path: string, size: number): MissingPages | undefined {
    try {
      const bytes = readFileSync(path);
      const memory = new SharedArrayBuffer(bytes.length);
      new Uint8Array(memory).set(bytes);
      const found = new MissingPages(path, memory);
      // The file may have been cut, and the process killed before it said so here.
      found.cutTo(size);
      return found;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The missing pages that a range touches; `isInner`: only those that it covers wholly. */
  in({ offset, length }: BytesRange, isInner = false): number[] {
    const first = isInner ? Math.ceil(offset / PAGE_BYTES) : Math.floor(offset / PAGE_BYTES);
    const end = Math.min(isInner ? this.#innerEnd(offset + length) : pagesOf(offset + length), this.#pages.length);
    const found: number[] = [];
    for (let page = first; page < end; page++) if (this.#pages[page] === MISSING) found.push(page);
    return found;
  }

  /** Those at the ends of a range that it covers in part. */
  atEnds(range: BytesRange): number[] {
    if (range.length === 0) return [];
    const inner = new Set(this.in(range, true));
    const { offset, length } = range;
    const ends = [offset, offset + length - 1].flatMap((at) => this.in({ offset: at, length: 1 }));
    return [...new Set(ends)].filter((page) => !inner.has(page));
  }

  /** The page is in the file now. */
  here(page: number): void {
    if (this.#pages[page] !== MISSING) return;
    this.#pages[page] = 0;
    this.#fd ??= openSync(this.#path, 'r+');
    writeSync(this.#fd, this.#pages, page, 1, HEADER_BYTES + page);
  }

  /** What lies behind an end of the file is nobody's: when the file grows again, there are zeros. */
  cutTo(size: number): void {
    for (let page = pagesOf(size); page < this.#pages.length; page++) this.here(page);
  }

  /** The others, as a map. */
  get pagesHere(): PageMap {
    const map = new PageMap(this.#pages.length);
    for (let page = 0; page < this.#pages.length; page++) if (this.#pages[page] !== MISSING) map.add(page);
    return map;
  }

  moveTo(path: string): MissingPages {
    renameSync(this.#path, path);
    this.close();
    return new MissingPages(path, this.memory);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  remove(): void {
    this.close();
    unlinkSync(this.#path);
  }

  /** The last page of the base may be short: who writes up to its end covers it. */
  #innerEnd(end: number): number {
    return end >= this.baseBytes ? this.#pages.length : Math.floor(end / PAGE_BYTES);
  }
}
