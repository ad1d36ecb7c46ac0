import type { Origin } from '../model/inode.ts';
import { ancestors, spell } from './key-index.ts';

/** When something was last done at a key, in the count of all that was done: what a reader of the store may have missed. */
export class KeyHistory {
  readonly #at = new Map<string, number>();
  readonly #below = new Map<string, number>();

  get size(): number {
    return this.#at.size + this.#below.size;
  }

  /** `count` only grows. */
  add(origin: Origin, count: number): void {
    const spelling = spell(origin);
    this.#at.set(spelling, count);
    for (const each of ancestors(spelling)) this.#below.set(each, count);
  }

  hasAtOrBelow(origin: Origin, since: number): boolean {
    const spelling = spell(origin);
    return isAfter(this.#at.get(spelling), since) || isAfter(this.#below.get(spelling), since);
  }

  hasAtOrAbove(origin: Origin, since: number): boolean {
    if (this.#at.size === 0) return false;
    const spelling = spell(origin);
    return [spelling, ...ancestors(spelling)].some((each) => isAfter(this.#at.get(each), since));
  }

  /** Nobody asks any more about what was done until then. */
  forget(until: number): void {
    for (const counts of [this.#at, this.#below]) {
      for (const [spelling, count] of counts) if (count <= until) counts.delete(spelling);
    }
  }
}

const isAfter = (count: number | undefined, since: number): boolean => count !== undefined && count > since;
