import * as fs from 'node:fs/promises';
import type { StoreKey } from '../model/inode.ts';

/** Names that begin so are uploads under way; listings leave them out. */
export const TEMPORARY_PREFIX = '.leat-upload-';
/** Names of listings whose next page nobody has asked for yet, all together. */
const KEPT_NAMES_MAX = 2_000_000;

/** In key order a directory stands where its name with a slash does. */
type OrderKey = string;

/** Listings as they were read, while their pages are walked: a directory of a million is read and sorted once. */
export class KeptListings {
  readonly #kept = new Map<StoreKey, readonly OrderKey[]>();
  #names = 0;

  /** The next names in key order (directories with a slash at their end), and whether more follow. */
  async page(
    key: StoreKey,
    path: Buffer,
    { after, limit }: { readonly after: string | undefined; readonly limit: number },
  ): Promise<{ readonly names: readonly OrderKey[]; readonly hasMore: boolean }> {
    const kept = after === undefined ? undefined : this.#kept.get(key);
    const all = kept ?? (await namesIn(path));
    const start = after === undefined ? 0 : firstAfter(all, after);
    const names = all.slice(start, start + limit);
    const hasMore = start + limit < all.length;
    this.#forget(key);
    if (hasMore) this.#keep(key, all);
    return { names, hasMore };
  }

  clear(): void {
    this.#kept.clear();
    this.#names = 0;
  }

  #keep(key: StoreKey, names: readonly OrderKey[]): void {
    this.#kept.set(key, names);
    this.#names += names.length;
    for (const oldest of this.#kept.keys()) {
      if (this.#names <= KEPT_NAMES_MAX) break;
      this.#forget(oldest);
    }
  }

  #forget(key: StoreKey): void {
    this.#names -= this.#kept.get(key)?.length ?? 0;
    this.#kept.delete(key);
  }
}

async function namesIn(path: Buffer): Promise<OrderKey[]> {
  const names: OrderKey[] = [];
  for (const entry of await fs.readdir(path, { withFileTypes: true, encoding: 'buffer' })) {
    const name = entry.name.toString('latin1');
    const isShown = entry.isFile() || entry.isDirectory() || entry.isSymbolicLink();
    if (isShown && !name.startsWith(TEMPORARY_PREFIX)) names.push(entry.isDirectory() ? `${name}/` : name);
  }
  return names.sort((a, b) => (a < b ? -1 : 1));
}

/** Where the page after this name begins, also when the name has gone since. */
function firstAfter(names: readonly OrderKey[], after: OrderKey): number {
  let low = 0;
  for (let high = names.length; low < high;) {
    const middle = (low + high) >> 1;
    if ((names[middle] ?? '') <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
