/** The unit in which a content is fetched and kept. */
export const PAGE_BYTES = 1024 * 1024;

export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

/** Which pages of one content are here: a bit for each. Ranges are `[first, end)`. */
export class PageMap {
  readonly pages: number;
  readonly bits: Uint8Array;
  #count = 0;

  constructor(pages: number, bits = new Uint8Array(Math.ceil(pages / 8))) {
    this.pages = pages;
    this.bits = bits;
    for (let page = 0; page < pages; page++) if (this.has(page)) this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === this.pages;
  }

  has(page: number): boolean {
    return ((this.bits[page >> 3] ?? 0) & (1 << (page & 7))) !== 0;
  }

  add(page: number): void {
    if (this.has(page)) return;
    this.bits[page >> 3] = (this.bits[page >> 3] ?? 0) | (1 << (page & 7));
    this.#count++;
  }

  delete(page: number): void {
    if (!this.has(page)) return;
    this.bits[page >> 3] = (this.bits[page >> 3] ?? 0) & ~(1 << (page & 7));
    this.#count--;
  }

  /** Becomes a copy of another map of the same content. */
  take(other: PageMap): void {
    this.bits.set(other.bits);
    this.#count = other.#count;
  }

  clear(): void {
    this.bits.fill(0);
    this.#count = 0;
  }

  /** The first page of the range that is not here, or `end`. */
  nextMissing(first: number, end: number): number {
    if (this.full) return end;
    for (let page = first; page < end; page++) {
      // A byte at a time over what is here, for a load of a terabyte asks this for each of its pages.
      while ((page & 7) === 0 && page + 8 <= end && this.bits[page >> 3] === 0xff) page += 8;
      if (page >= end || !this.has(page)) return Math.min(page, end);
    }
    return end;
  }

  /** What the present pages hold of a content of `size` bytes, whose last page may be short. */
  bytes(size: number): number {
    const isTailHere = this.pages > 0 && this.has(this.pages - 1);
    return this.#count * PAGE_BYTES - (isTailHere ? this.pages * PAGE_BYTES - size : 0);
  }

  countIn(first: number, end: number): number {
    let count = 0;
    for (let page = first; page < end; page++) if (this.has(page)) count++;
    return count;
  }
}
