import type { Name } from '#shared/model/names.ts';

/** So many holes are passed over for each name that is there before they are forgotten. */
const HOLES_PER_NAME_MAX = 1;

/**
 * The names of a directory in byte order. What comes is sorted in by the next who looks, all at once; what goes leaves a hole.
 * So a directory can be filled, listed and emptied by turns without being sorted each time.
 */
export class SortedNames {
  #order: Name[] = [];
  readonly #come = new Set<Name>();
  readonly #holes = new Set<Name>();
  /** Before it are only holes: directories are mostly emptied from the front. */
  #front = 0;

  /** The name must not be there yet. */
  add(name: Name): void {
    if (!this.#holes.delete(name)) this.#come.add(name);
    else this.#front = Math.min(this.#front, this.#firstFrom(name, 0));
  }

  /** The name must be there. */
  delete(name: Name): void {
    if (this.#come.delete(name)) return;
    this.#holes.add(name);
    while (this.#front < this.#order.length && this.#holes.has(this.#order[this.#front] as Name)) this.#front++;
    if (this.#holes.size > (this.#order.length - this.#holes.size) * HOLES_PER_NAME_MAX) this.#forgetHoles();
  }

  /** Ascending, strictly after `after`. */
  page(after: Name | undefined, limit: number): Name[] {
    if (this.#come.size > 0) this.#sortIn();
    const page: Name[] = [];
    const past = after === undefined ? 0 : this.#firstFrom(after, 1);
    for (let at = Math.max(this.#front, past); at < this.#order.length && page.length < limit; at++) {
      const name = this.#order[at] as Name;
      if (!this.#holes.has(name)) page.push(name);
    }
    return page;
  }

  /** The position of the first name that is not below `name`; with `past` 1 of the first above it. */
  #firstFrom(name: Name, past: 0 | 1): number {
    let low = 0;
    for (let high = this.#order.length; low < high;) {
      const middle = (low + high) >>> 1;
      const each = this.#order[middle] as Name;
      if (each < name || (past === 1 && each === name)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #sortIn(): void {
    const come = [...this.#come].toSorted((a, b) => (a < b ? -1 : 1));
    this.#come.clear();
    const merged: Name[] = [];
    let next = 0;
    for (const name of this.#order) {
      for (let each = come[next]; each !== undefined && each < name; each = come[++next]) merged.push(each);
      if (!this.#holes.has(name)) merged.push(name);
    }
    while (next < come.length) merged.push(come[next++] as Name);
    this.#became(merged);
  }

  #forgetHoles(): void {
    this.#became(this.#order.filter((name) => !this.#holes.has(name)));
  }

  #became(order: Name[]): void {
    this.#order = order;
    this.#holes.clear();
    this.#front = 0;
  }
}
