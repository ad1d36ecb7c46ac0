import type { CacheIndex } from './cache-index.ts';
import { blocksOf, wholeBlocks } from './cache-index.ts';
import { PAGE_BYTES, PageMap } from './page-map.ts';
import type { PageRange } from './readahead.ts';
import { sliceName } from './units.ts';

export const SLICE_PAGES = 64;
/** What a slice takes on the disk besides its pages: its share of the trailer, and a block of the file system's extents. */
const SLICE_OVERHEAD_BLOCKS = 2;

export interface Housed {
  readonly name: string;
  readonly size: number;
  readonly pages: number;
}

/**
 * The room that one content takes in the index, page by page. A page is housed from the moment that it is asked for until its
 * blocks are given back: present pages, those on their way, and those that were begun and given up.
 */
export class Housing {
  readonly #index: CacheIndex;
  readonly #content: Housed;
  readonly #housed: PageMap;
  /** Housed pages that may have blocks on the disk. */
  readonly #begun: PageMap;

  constructor(index: CacheIndex, content: Housed) {
    this.#index = index;
    this.#content = content;
    this.#housed = new PageMap(content.pages);
    this.#begun = new PageMap(content.pages);
  }

  unitOf(page: number): string {
    const { name, pages } = this.#content;
    return pages <= 1 ? name : sliceName(name, Math.floor(page / SLICE_PAGES));
  }

  units(): string[] {
    const { name, pages } = this.#content;
    const slices = Array.from({ length: Math.ceil(pages / SLICE_PAGES) }, (_, slice) => sliceName(name, slice));
    return [name, ...slices];
  }

  /** Takes room for the range, or for what the reader needs of it; undefined when there is none. */
  house(range: PageRange, neededEnd: number): PageRange | undefined {
    if (this.#houseAll(range)) return range;
    const needed = { first: range.first, end: Math.min(range.end, neededEnd) };
    if (needed.end === range.end || needed.end <= needed.first) return undefined;
    return this.#houseAll(needed) ? needed : undefined;
  }

  /** Bytes of the page are about to be written. */
  begin(page: number): void {
    this.#begun.add(page);
  }

  /** Gives back the room of pages that nobody will write; what has been begun keeps its room, as it does on the disk. */
  release(range: PageRange): void {
    for (let page = range.first; page < range.end; page++) {
      if (!this.#housed.has(page) || this.#begun.has(page)) continue;
      this.#housed.delete(page);
      const { first, end } = this.#slice(page);
      if (this.#housed.countIn(first, end) === 0) this.#index.forget(this.unitOf(page));
      else this.#index.give(this.unitOf(page), this.#blocks(page));
    }
  }

  /** Pages that were begun and given up. */
  litter(present: PageMap): number[] {
    if (this.#begun.count === present.count) return [];
    const pages = Array.from({ length: this.#content.pages }, (_, page) => page);
    return pages.filter((page) => this.#begun.has(page) && !present.has(page));
  }

  /** The blocks of a page have been given back to the file system. */
  vacate(page: number): void {
    this.#begun.delete(page);
    this.release({ first: page, end: page + 1 });
  }

  /** Enters the pages that were found on the disk. */
  adopt(present: PageMap): void {
    for (let first = 0; first < this.#content.pages; first += SLICE_PAGES) {
      let blocks = 0;
      for (let page = first; page < this.#slice(first).end; page++) {
        if (!present.has(page)) continue;
        this.#housed.add(page);
        this.#begun.add(page);
        blocks += this.#blocks(page);
      }
      if (blocks > 0) this.#index.adopt(this.unitOf(first), blocks + this.#overhead);
    }
  }

  /** The content lies there whole now, under its final name. */
  merge(): void {
    const { name, size, pages } = this.#content;
    if (pages <= 1) return;
    this.#index.merge(this.units(), name, wholeBlocks(size));
  }

  /** The index has let the slice go. */
  evicted(slice: number): void {
    const { first, end } = this.#slice(slice * SLICE_PAGES);
    for (let page = first; page < end; page++) {
      this.#housed.delete(page);
      this.#begun.delete(page);
    }
  }

  forget(): void {
    this.#housed.clear();
    this.#begun.clear();
    for (const unit of this.units()) this.#index.forget(unit);
  }

  #houseAll(range: PageRange): boolean {
    // Nothing of the range is present, so the pages in it that are not begun are the ones this call houses.
    for (let page = range.first; page < range.end; page++) {
      if (this.#housed.has(page)) continue;
      const unit = this.unitOf(page);
      const overhead = this.#index.has(unit) ? 0 : this.#overhead;
      if (!this.#index.take(unit, this.#blocks(page) + overhead)) {
        this.release({ first: range.first, end: page });
        return false;
      }
      this.#housed.add(page);
    }
    return true;
  }

  get #overhead(): number {
    return this.#content.pages <= 1 ? 0 : SLICE_OVERHEAD_BLOCKS;
  }

  #blocks(page: number): number {
    return blocksOf(Math.min(PAGE_BYTES, this.#content.size - page * PAGE_BYTES));
  }

  #slice(page: number): PageRange {
    const first = page - (page % SLICE_PAGES);
    return { first, end: Math.min(first + SLICE_PAGES, this.#content.pages) };
  }
}
