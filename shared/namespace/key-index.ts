import type { MountId, Origin } from '../model/inode.ts';

/** A multiset of keys of all stores that knows, in as many steps as a key has names, what lies at, above and below one. */
export class KeyIndex {
  readonly #at = new Map<string, number>();
  readonly #below = new Map<string, number>();

  add(origin: Origin): void {
    this.#count(origin, 1);
  }

  delete(origin: Origin): void {
    this.#count(origin, -1);
  }

  hasAt(origin: Origin): boolean {
    return this.#at.has(spell(origin));
  }

  hasAtOrBelow(origin: Origin): boolean {
    const spelling = spell(origin);
    return this.#at.has(spelling) || this.#below.has(spelling);
  }

  hasAtOrAbove(origin: Origin): boolean {
    if (this.#at.size === 0) return false;
    const spelling = spell(origin);
    return this.#at.has(spelling) || ancestors(spelling).some((each) => this.#at.has(each));
  }

  /** What an act upon this key has to take turns with. */
  hasRelated(origin: Origin): boolean {
    return this.hasAtOrBelow(origin) || this.hasAtOrAbove(origin);
  }

  #count(origin: Origin, by: 1 | -1): void {
    const spelling = spell(origin);
    change(this.#at, spelling, by);
    for (const each of ancestors(spelling)) change(this.#below, each, by);
  }
}

/** The mount is the first name of the spelling, so that its root lies above all of its keys and no other mount's. */
export function spell({ mount, key }: { readonly mount: MountId; readonly key: string }): string {
  return key === '' ? mount : `${mount}/${key}`;
}

export function ancestors(spelling: string): string[] {
  const found: string[] = [];
  for (let at = spelling.lastIndexOf('/'); at > 0; at = spelling.lastIndexOf('/', at - 1))
    found.push(spelling.slice(0, at));
  return found;
}

function change(counts: Map<string, number>, spelling: string, by: number): void {
  const count = (counts.get(spelling) ?? 0) + by;
  if (count > 0) counts.set(spelling, count);
  else counts.delete(spelling);
}
