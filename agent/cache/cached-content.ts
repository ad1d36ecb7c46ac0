import { invariant } from '#shared/model/faults.ts';
import type { CacheIndex, Eviction } from './cache-index.ts';
import { wholeBlocks } from './cache-index.ts';
import type { CacheKey, Fetch } from './data-cache.ts';
import type { FetchGate } from './fetch-gate.ts';
import type { FileRemover } from './file-remover.ts';
import { Housing, SLICE_PAGES } from './housing.ts';
import { LocalFile } from './local-file.ts';
import type { LocalTrouble } from './local-trouble.ts';
import { PageFetches } from './page-fetches.ts';
import { PAGE_BYTES, PageMap, pagesOf } from './page-map.ts';
import type { Demand, PageRange } from './readahead.ts';
import { PARALLEL_FETCHES, planFetches } from './readahead.ts';
import type { SealSync } from './seal-sync.ts';
import { partPath, sealedPath } from './sealed.ts';
import { contentName, sliceName } from './units.ts';

export interface ContentDeps {
  readonly dir: string;
  readonly index: CacheIndex;
  readonly gate: FetchGate;
  readonly remover: FileRemover;
  readonly sync: SealSync;
  readonly trouble: LocalTrouble;
  readonly clock: () => number;
  /** Larger contents are never sealed: one file must not push out everything else. */
  readonly sealBytesMax: number;
  readonly onUnsealed: (key: CacheKey) => void;
  readonly onFetched: (bytes: number) => void;
}

/** One content while somebody uses it: its file, its page map, the fetches that fill it. All users of a content share it. */
export class CachedContent {
  readonly key: CacheKey;
  readonly name: string;
  readonly size: number;
  readonly pages: number;
  readonly #deps: ContentDeps;
  readonly #present: PageMap;
  readonly #housing: Housing;
  readonly #fetches: PageFetches;
  #file: LocalFile | undefined;
  #sealed = false;
  #attached = false;
  /** Who loads it wants it whole: it must not be evicted at one end while it grows at the other. */
  loads = 0;
  /** Pages that `request` is busy with: making room for one of them must not evict another. */
  #requested: PageRange = { first: 0, end: 0 };

  constructor(deps: ContentDeps, key: CacheKey, size: number) {
    this.#deps = deps;
    this.key = key;
    this.name = contentName(key);
    this.size = size;
    this.pages = pagesOf(size);
    this.#present = new PageMap(this.pages);
    this.#housing = new Housing(deps.index, this);
    this.#fetches = new PageFetches(
      {
        size,
        has: (page) => this.#present.has(page),
        write: (bytes, position) => this.#write(bytes, position),
        completed: (page) => this.#completed(page),
        released: (pages) => this.#housing.release(pages),
        fetched: () => this.#sealIfWhole(),
        failedLocally: (error) => this.failedLocally(error),
      },
      deps.gate,
    );
  }

  get sealed(): boolean {
    return this.#sealed;
  }

  get sealable(): boolean {
    return this.size <= this.#deps.sealBytesMax;
  }

  get presentBytes(): number {
    return this.#sealed ? this.size : this.#present.bytes(this.size);
  }

  holds(range: PageRange): boolean {
    return this.#sealed || this.#present.nextMissing(range.first, range.end) === range.end;
  }

  firstMissing(): number {
    return this.#sealed ? this.pages : this.#present.nextMissing(0, this.pages);
  }

  /** A use of the content, or of the slice that holds the page. */
  touch(page: number): void {
    this.#deps.index.touch(this.#sealed ? this.name : this.#housing.unitOf(page));
  }

  /** Finds out what of the content is on the disk. */
  attach(): void {
    if (this.#attached) return;
    this.#attached = true;
    const { dir, index } = this.#deps;
    if (this.pages <= 1 && index.complete && !index.has(this.name)) return;
    try {
      const found = LocalFile.find(dir, this.key, this.size);
      if (!found) return this.#housing.forget();
      this.#file = found.file;
      this.#sealed = found.map === undefined;
      if (found.map) this.#present.take(found.map);
      if (found.map) this.#housing.adopt(found.map);
      else index.adopt(this.name, wholeBlocks(this.size));
      // All pages may have come in just before a process was killed, or while the cache was too small to seal it.
      this.#sealIfWhole();
    } catch (error) {
      this.#failedToAttach(error);
    }
  }

  /**
   * Starts the fetches that bring what is missing. False: there is no room for what is needed, not even with everything
   * evicted that may be.
   */
  request(demand: Demand, fetch: Fetch): boolean {
    if (this.#sealed) return true;
    const { needed } = demand;
    const isMissing = (page: number) => !this.#present.has(page) && !this.#fetches.covers(page);
    try {
      for (const range of planFetches(demand, isMissing)) {
        const isNeeded = range.first < needed.end;
        if (!isNeeded && this.#fetches.count >= PARALLEL_FETCHES) break;
        this.#requested = { first: Math.min(range.first, needed.first), end: Math.max(range.end, needed.end) };
        const housed = this.#housing.house(range, needed.end);
        if (!housed) return !isNeeded;
        this.#file ??= this.#createFile();
        this.#fetches.start(housed, fetch, demand.aheadEnd > needed.end);
      }
      return true;
    } catch (error) {
      this.failedLocally(error);
      return false;
    } finally {
      this.#requested = { first: 0, end: 0 };
    }
  }

  arrival(range: PageRange, options: { untilIdle?: boolean; signal?: AbortSignal | undefined }): Promise<void> {
    return this.#fetches.arrival(range, options);
  }

  /** Only of what `holds` says is here. A count that is too low, or a failure, means that the local file is no good. */
  read(into: Uint8Array, offset: number): number | Promise<number> {
    return this.#file?.read(into, offset) ?? 0;
  }

  /** A content without bytes has nothing to fetch, only a file to be found. */
  sealEmpty(): boolean {
    if (!this.#deps.index.take(this.name, wholeBlocks(0))) return false;
    try {
      this.#file ??= this.#createFile();
      this.#sealIfWhole();
    } catch (error) {
      this.failedLocally(error);
    }
    return true;
  }

  /** True while evicting the slice, or without one the whole, would pull the ground from under somebody's feet. */
  isBusy(slice: number | undefined): boolean {
    if (this.#sealed) return false;
    if (this.loads > 0) return true;
    const first = (slice ?? 0) * SLICE_PAGES;
    const pages = { first, end: slice === undefined ? this.pages : first + SLICE_PAGES };
    const isRequested = this.#requested.first < pages.end && pages.first < this.#requested.end;
    return isRequested || this.#fetches.touches(pages) || (this.#file?.reading ?? false);
  }

  /** Called by the index, which has crossed out the unit already. */
  evict(slice: number | undefined): Eviction {
    const isPart = slice !== undefined && this.pages > SLICE_PAGES && !this.#sealed;
    return isPart && this.#punch(slice) ? 'freed' : this.#discard();
  }

  /** Forgets and removes all that is here of the content, whatever has become of it; readers that wait ask again. */
  reset(): void {
    const eviction = this.#discard();
    if (typeof eviction === 'object') this.#deps.index.linger(wholeBlocks(this.size), eviction.later);
  }

  #discard(): Eviction {
    const { dir, remover, sync, onUnsealed } = this.#deps;
    const path = this.#sealed || this.pages <= 1 ? sealedPath(dir, this.key) : partPath(dir, this.key);
    const wasSealed = this.#sealed;
    const bytes = this.presentBytes;
    this.#detach();
    this.#sealed = false;
    this.#present.clear();
    this.#housing.forget();
    sync.forget(wasSealed ? this.name : sliceName(this.name, 0));
    const eviction = remover.remove(path, bytes);
    this.#fetches.abandonAll();
    if (wasSealed) onUnsealed(this.key);
    return eviction;
  }

  failedLocally(error: unknown): void {
    this.#deps.trouble.report(error, sealedPath(this.#deps.dir, this.key));
    this.reset();
  }

  /** The last user has gone. What is here stays for the next. */
  close(): void {
    this.#fetches.abandonAll();
    if (!this.#file || this.#sealed) return this.#detach();
    try {
      this.#sweep(this.#file);
      if (this.pages <= 1 || this.#present.count === 0) return this.reset();
      this.#file.writeMap(this.size, this.#present, false);
      this.#file.stamp(this.#deps.clock());
      this.#detach();
      this.#deps.sync.note(sliceName(this.name, 0));
    } catch (error) {
      this.failedLocally(error);
    }
  }

  #failedToAttach(error: unknown): void {
    const { code } = error as NodeJS.ErrnoException;
    const path = sealedPath(this.#deps.dir, this.key);
    this.#deps.trouble.report(error, path);
    // The file may be good, when it is we who have no descriptor for it now.
    this.#attached = code !== 'EMFILE' && code !== 'ENFILE';
    if (!this.#attached) return;
    this.#deps.remover.remove(path, 0);
    this.reset();
  }

  #createFile(): LocalFile {
    const { dir } = this.#deps;
    if (this.pages <= 1) return LocalFile.create(sealedPath(dir, this.key));
    return LocalFile.createPart(partPath(dir, this.key), this.size, this.#present);
  }

  #write(bytes: Uint8Array, position: number): void {
    invariant(this.#file, 'fetches end before their file does');
    const last = Math.floor((position + bytes.length - 1) / PAGE_BYTES);
    for (let page = Math.floor(position / PAGE_BYTES); page <= last; page++) this.#housing.begin(page);
    this.#file.write(bytes, position);
    this.#deps.onFetched(bytes.length);
  }

  /** The map is written after the page: what it says is true whenever the process is killed. */
  #completed(page: number): void {
    this.#present.add(page);
    if (this.pages <= 1) return;
    try {
      this.#file?.writeMapByte(this.size, this.#present, page);
    } catch {
      // The page is here all the same; only a restart will not know it.
    }
  }

  #sealIfWhole(): void {
    if (!this.#file || this.#sealed || !this.#present.full || this.#fetches.count > 0 || !this.sealable) return;
    try {
      this.#file.seal({ path: sealedPath(this.#deps.dir, this.key), size: this.size, nowMs: this.#deps.clock() });
    } catch (error) {
      this.failedLocally(error);
      return;
    }
    this.#sealed = true;
    this.#housing.merge();
    this.#deps.sync.forget(sliceName(this.name, 0));
    this.#deps.sync.note(this.name);
  }

  /** Cleared in the map first: a process that is killed in between must not come back to find zeros. */
  #punch(slice: number): boolean {
    const pages = { first: slice * SLICE_PAGES, end: Math.min((slice + 1) * SLICE_PAGES, this.pages) };
    try {
      for (let page = pages.first; page < pages.end; page++) this.#present.delete(page);
      this.#file?.writeMap(this.size, this.#present, true);
      this.#housing.evicted(slice);
      return this.#file?.punch(pages, this.size) ?? false;
    } catch {
      return false;
    }
  }

  /** Frees the blocks of pages that were begun and given up. */
  #sweep(file: LocalFile): void {
    for (const page of this.#housing.litter(this.#present)) {
      if (file.punch({ first: page, end: page + 1 }, this.size)) this.#housing.vacate(page);
    }
  }

  #detach(): void {
    this.#file?.retire();
    this.#file = undefined;
  }
}
