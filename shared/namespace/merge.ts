import type { Inode } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import type { StoreEntry } from '../ports/under-store.ts';
import { inKeyOrder, type NamedRow, orderKey } from './key-order.ts';
import { SHADOWED_SUFFIX } from './shadowed.ts';

/** What the store says about a name, and the row that the walk met there, if any. */
export interface Finding {
  readonly name: Name;
  readonly row: Inode | undefined;
  readonly entry: StoreEntry | undefined;
}

/** An object whose name may be a prefix too. */
interface Candidate {
  readonly name: Name;
  readonly entry: StoreEntry;
  readonly row: Inode | undefined;
  /** The row that has stood for it beside the directory so far. */
  besideRow?: Inode;
  isPrefix?: boolean;
}

/**
 * Walks the store's entries and our rows side by side, both in key order, and tells the differences. It holds back nothing but
 * the objects whose name may still turn out to be a prefix, and of these each begins with the one before it.
 */
export class Merge {
  readonly #rows: AsyncGenerator<NamedRow>;
  #row: NamedRow | undefined;
  #candidates: Candidate[] = [];
  #isBegun = false;

  constructor(rows: AsyncIterable<NamedRow>) {
    this.#rows = inKeyOrder(rows);
  }

  async *page(entries: readonly StoreEntry[]): AsyncGenerator<Finding> {
    if (!this.#isBegun) await this.#next();
    this.#isBegun = true;
    for (const entry of entries) {
      const order = orderOfEntry(entry);
      yield* this.#rowsBefore(order);
      const isKnown = this.#row !== undefined && orderOfRow(this.#row) === order;
      yield* this.#present(entry, isKnown ? this.#row?.inode : undefined);
      if (isKnown) await this.#next();
    }
  }

  /** After the last page: what is left of the rows. */
  async *end(): AsyncGenerator<Finding> {
    if (!this.#isBegun) await this.#next();
    this.#isBegun = true;
    yield* this.#rowsBefore(undefined);
    for (const each of this.#candidates) yield* unshadowed(each);
  }

  async #next(): Promise<void> {
    const next = await this.#rows.next();
    this.#row = next.done ? undefined : next.value;
  }

  async *#rowsBefore(order: string | undefined): AsyncGenerator<Finding> {
    for (let row = this.#row; row && (order === undefined || orderOfRow(row) < order); row = this.#row) {
      yield* this.#vanished(row);
      await this.#next();
    }
  }

  *#present(entry: StoreEntry, row: Inode | undefined): Generator<Finding> {
    const name = nameOf(entry);
    const isCandidate = (each: Candidate) => entry.key.startsWith(each.entry.key);
    for (const each of this.#candidates) if (!isCandidate(each)) yield* unshadowed(each);
    this.#candidates = this.#candidates.filter(isCandidate);
    if (entry.kind !== 'directory') {
      this.#candidates.push({ name, entry, row });
      yield { name, row, entry };
      return;
    }
    const shadowed = this.#candidates.find((each) => each.name === name);
    yield { name, row: row ?? shadowed?.row, entry };
    if (!shadowed) return;
    shadowed.isPrefix = true;
    yield { name: besideOf(name), row: undefined, entry: shadowed.entry };
  }

  *#vanished({ name, inode }: NamedRow): Generator<Finding> {
    const beside = this.#candidates.find((each) => besideOf(each.name) === name);
    // The object that it stands for is there, and so may be the prefix; unless the object already has its own name back.
    if (beside && !beside.row && inode.origin?.key === beside.entry.key) {
      beside.besideRow = inode;
      return;
    }
    const object = inode.kind === 'directory' ? this.#candidates.find((each) => each.name === name) : undefined;
    yield { name, row: inode, entry: object?.entry };
  }
}

/** The object was no prefix after all, and has its own name: what stood for it goes. */
function* unshadowed({ name, besideRow, isPrefix }: Candidate): Generator<Finding> {
  if (besideRow && !isPrefix) yield { name: besideOf(name), row: besideRow, entry: undefined };
}

const besideOf = (name: Name): Name => `${name}${SHADOWED_SUFFIX}` as Name;
const nameOf = ({ key }: StoreEntry): Name => key.slice(key.lastIndexOf('/') + 1) as Name;
const orderOfEntry = (entry: StoreEntry): string => orderKey(nameOf(entry), entry.kind === 'directory');
const orderOfRow = ({ name, inode }: NamedRow): string => orderKey(name, inode.kind === 'directory');
