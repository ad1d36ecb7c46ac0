import type { InodeId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { keyText, type RowKey } from '#shared/ports/metastore.ts';

/** More changes than that while one answer is awaited, and all of it is taken for changed. */
const CHANGED_MAX = 10_000;

/** A question that the remote store has not answered yet, of some rows or of a directory, and what has changed since it was put. */
export class Reading {
  readonly #keys: ReadonlySet<string> | undefined;
  readonly #directory: InodeId | undefined;
  readonly #changed = new Set<string>();
  /** What was asked for may have been dropped meanwhile. */
  isLost = false;

  constructor(of: readonly RowKey[] | InodeId) {
    this.#directory = typeof of === 'string' ? of : undefined;
    this.#keys = typeof of === 'string' ? undefined : new Set(of.map(keyText));
  }

  isOf(directory: InodeId): boolean {
    return this.#directory === directory;
  }

  changed(key: RowKey): void {
    if (!this.isOf(key.directory) && !this.#keys?.has(keyText(key))) return;
    this.#changed.add(keyText(key));
    if (this.#changed.size > CHANGED_MAX) this.isLost = true;
  }

  /**
   * False: the row was changed while the question was on its way, and whether the answer is of before or after, nobody can
   * tell. It must not be kept, or what has been said of the row would be forgotten again.
   */
  mayKeep(key: RowKey): boolean {
    return !this.isLost && !this.#changed.has(keyText(key));
  }
}

/** Directories being listed at once that can become known as a whole. */
const LISTINGS_MAX = 256;

interface UnderWay {
  /** When its first page was asked for. */
  readonly since: number;
  /** The last name of its last page. */
  readonly at: Name;
}

/** What is asked, and the listings of which more pages are to come. */
export class Readings {
  readonly #open = new Set<Reading>();
  readonly #listings = new Map<InodeId, UnderWay>();

  /** `keep` gets the answer in the same turn in which the reading ends: a change in between would go unnoticed. */
  async during<Answer>(reading: Reading, ask: () => Promise<Answer>, keep: (answer: Answer) => void): Promise<Answer> {
    this.#open.add(reading);
    try {
      const answer = await ask();
      keep(answer);
      return answer;
    } finally {
      this.#open.delete(reading);
    }
  }

  changed(key: RowKey): void {
    for (const reading of this.#open) reading.changed(key);
  }

  /** True while rows of a directory come in page by page: what changes in it meanwhile has to be noted. */
  isListing(directory: InodeId): boolean {
    return this.#listings.has(directory) || [...this.#open].some((reading) => reading.isOf(directory));
  }

  /** When the listing began that goes on behind this name; undefined when nobody knows the pages before. */
  goesOn(directory: InodeId, after: Name): number | undefined {
    const underWay = this.#listings.get(directory);
    if (underWay?.at !== after) return undefined;
    return underWay.since;
  }

  stopped(directory: InodeId, underWay: UnderWay): void {
    this.#listings.delete(directory);
    this.#listings.set(directory, underWay);
    const [oldest] = this.#listings.keys();
    if (this.#listings.size > LISTINGS_MAX && oldest !== undefined) this.#listings.delete(oldest);
  }

  ended(directory: InodeId): void {
    this.#listings.delete(directory);
  }

  allDropped(): void {
    this.#listings.clear();
    for (const reading of this.#open) reading.isLost = true;
  }

  /** Rows of a directory have been dropped: no listing that is under way can tell any more what is not there. */
  dropped(directory: InodeId): void {
    this.#listings.delete(directory);
    for (const reading of this.#open) if (reading.isOf(directory)) reading.isLost = true;
  }
}
