import { renameSync, statSync, unlinkSync } from 'node:fs';
import { invariant } from '#shared/model/faults.ts';
import type { Eviction } from './cache-index.ts';
import { BLOCK_BYTES, CacheIndex, wholeBlocks } from './cache-index.ts';
import type { ContentDeps } from './cached-content.ts';
import { CachedContent } from './cached-content.ts';
import type { CachedFile, CacheKey, CacheUsage, DataCache, DataCacheOptions, Fetch } from './data-cache.ts';
import { FetchGate } from './fetch-gate.ts';
import { FileRemover } from './file-remover.ts';
import { readTrailer } from './local-file.ts';
import { LocalTrouble } from './local-trouble.ts';
import { OpenFile } from './open-file.ts';
import { PAGE_BYTES } from './page-map.ts';
import { SealSync } from './seal-sync.ts';
import { isSealed, isStamp, partPath, sealAs, sealedPath } from './sealed.ts';
import type { FoundFile } from './start-up.ts';
import { claim, scan, shards, sweep } from './start-up.ts';
import { contentName, parseUnit } from './units.ts';

/** What a request to a store may hold in memory: a receive buffer, and its share of TLS. */
const REQUEST_MEMORY_BYTES = 512 * 1024;
const REQUESTS_MIN = 4;
const REQUESTS_MAX = 64;
const WINDOW_BYTES_MAX = 64 * PAGE_BYTES;
/** The readahead of one stream fills no more than this share of the cache. */
const WINDOW_SHARE = 1 / 8;
/** A larger file passes through the cache and is never kept whole. */
const SEALED_SHARE = 1 / 2;

interface Use {
  readonly content: CachedContent;
  users: number;
  doomed: boolean;
}

/** The cache on the local disk: the contents in use, and the index of all that is there. */
export class DiskCache implements DataCache {
  readonly #options: DataCacheOptions;
  readonly #uses = new Map<string, Use>();
  readonly #index: CacheIndex;
  readonly #contentDeps: ContentDeps;
  readonly #windowBytesMax: number;
  #hitBytes = 0;
  #fetchedBytes = 0;

  constructor(options: DataCacheOptions) {
    const { dir, capacityBytes, filesMax, memoryBytes, clock, log } = options;
    this.#options = options;
    claim(dir, options.identity);
    const turns = Math.floor(memoryBytes / REQUEST_MEMORY_BYTES);
    this.#windowBytesMax = Math.min(WINDOW_BYTES_MAX, Math.floor(capacityBytes * WINDOW_SHARE));
    this.#index = new CacheIndex(
      {
        capacityBlocks: Math.floor(capacityBytes / BLOCK_BYTES),
        unitsMax: filesMax,
        isBusy: (unit) => this.#isBusy(unit),
        evict: (unit, blocks) => this.#evict(unit, blocks),
      },
      // After this turn of the event loop, when the index that it fills exists.
      Promise.resolve().then(() => this.#takeStock()),
    );
    this.#contentDeps = {
      dir,
      index: this.#index,
      gate: new FetchGate(Math.min(Math.max(turns, REQUESTS_MIN), REQUESTS_MAX)),
      remover: new FileRemover(dir, log),
      sync: new SealSync(dir),
      trouble: new LocalTrouble({ clock, log }),
      clock,
      sealBytesMax: Math.floor(capacityBytes * SEALED_SHARE),
      onUnsealed: options.onEvicted,
      onFetched: (bytes) => {
        this.#fetchedBytes += bytes;
      },
    };
  }

  open(key: CacheKey, size: number, fetch: Fetch): CachedFile {
    const use = this.#use(key, size);
    const { gate, trouble } = this.#contentDeps;
    return new OpenFile({
      content: use.content,
      fetch,
      gate,
      trouble,
      windowBytesMax: this.#windowBytesMax,
      roomToCome: () => this.#index.roomToCome(),
      onHit: (bytes) => {
        this.#hitBytes += bytes;
      },
      onBypass: (bytes) => {
        this.#fetchedBytes += bytes;
      },
      onClose: () => this.#leave(use),
    });
  }

  cachedBytes(key: CacheKey): number {
    const name = contentName(key);
    const use = this.#uses.get(name);
    if (use) {
      use.content.attach();
      return use.content.presentBytes;
    }
    const { dir } = this.#options;
    if (!this.#index.complete || this.#index.has(name)) {
      const stat = statSync(sealedPath(dir, key), { throwIfNoEntry: false });
      if (stat && isStamp(stat.mtimeMs)) return stat.size;
    }
    const trailer = readTrailer(partPath(dir, key));
    return trailer?.map.bytes(trailer.size) ?? 0;
  }

  touched(key: CacheKey): void {
    const name = contentName(key);
    this.#index.touch(name);
    this.#hitBytes += this.#index.blocks(name) * BLOCK_BYTES;
  }

  drop(key: CacheKey): void {
    const name = contentName(key);
    const use = this.#uses.get(name);
    if (use) {
      use.doomed = true;
      return;
    }
    const blocks = this.#index.blocks(name);
    if (blocks > 0 || !this.#index.complete) {
      this.#index.forget(name);
      const eviction = this.#remove(key, blocks);
      if (typeof eviction === 'object') this.#index.linger(blocks, eviction.later);
    }
    this.#unusedPart(key)?.reset();
  }

  takeOver(key: CacheKey, size: number, path: string): boolean {
    const name = contentName(key);
    const from = sealedPath(this.#options.dir, key);
    try {
      if (!isSealed(from, size)) return false;
      renameSync(from, path);
    } catch (error) {
      this.#contentDeps.trouble.report(error, from);
      return false;
    }
    this.#index.forget(name);
    this.#contentDeps.sync.forget(name);
    return true;
  }

  keep(key: CacheKey, size: number, path: string): void {
    const name = contentName(key);
    const to = sealedPath(this.#options.dir, key);
    try {
      if (!this.#index.take(name, wholeBlocks(size))) return unlinkSync(path);
      sealAs(path, to, this.#options.clock());
      this.#contentDeps.sync.note(name);
    } catch (error) {
      this.#index.forget(name);
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#contentDeps.trouble.report(error, path);
    }
  }

  isHeld(key: CacheKey): boolean {
    return this.#options.isHeld?.(key) === true;
  }

  hold(bytes: number): void {
    this.#index.hold(Math.ceil(bytes / BLOCK_BYTES));
  }

  heldRoom(): number {
    return this.#index.heldRoom * BLOCK_BYTES;
  }

  usage(): CacheUsage {
    const { usedBlocks, heldBlocks } = this.#index;
    return {
      capacityBytes: this.#options.capacityBytes,
      usedBytes: (usedBlocks + heldBlocks) * BLOCK_BYTES,
      dirtyBytes: heldBlocks * BLOCK_BYTES,
      files: this.#index.contents,
      hitBytes: this.#hitBytes,
      fetchedBytes: this.#fetchedBytes,
    };
  }

  async close(): Promise<void> {
    for (const { content } of this.#uses.values()) content.close();
    this.#uses.clear();
    await this.#index.roomToCome();
    await this.#index.settled();
    await this.#contentDeps.sync.close();
  }

  #use(key: CacheKey, size: number): Use {
    const name = contentName(key);
    let use = this.#uses.get(name);
    if (!use) {
      use = { content: new CachedContent(this.#contentDeps, key, size), users: 0, doomed: false };
      this.#uses.set(name, use);
    }
    invariant(use.content.size === size, 'a generation of a file has one size');
    use.users++;
    return use;
  }

  #leave(use: Use): void {
    if (--use.users > 0 || this.#uses.get(use.content.name) !== use) return;
    if (use.doomed) {
      use.content.attach();
      use.content.reset();
    }
    use.content.close();
    this.#uses.delete(use.content.name);
  }

  #isBusy(unit: string): boolean {
    const { content, key, slice } = parseUnit(unit);
    const isHeld = slice === undefined && this.isHeld(key);
    return isHeld || (this.#uses.get(content)?.content.isBusy(slice) ?? false);
  }

  #evict(unit: string, blocks: number): Eviction {
    const { content: name, key, slice } = parseUnit(unit);
    const use = this.#uses.get(name);
    if (use) return use.content.evict(slice);
    return slice === undefined ? this.#remove(key, blocks) : this.#evictSlice(unit);
  }

  #evictSlice(unit: string): Eviction {
    const { key, slice } = parseUnit(unit);
    const content = this.#unusedPart(key);
    if (!content) return this.#contentDeps.remover.remove(partPath(this.#options.dir, key), 0);
    const eviction = content.evict(slice);
    content.close();
    // Attaching has entered the slice again, which is on its way out.
    this.#index.forget(unit);
    return eviction;
  }

  /** A content that is partly here and that nobody has open. */
  #unusedPart(key: CacheKey): CachedContent | undefined {
    const trailer = readTrailer(partPath(this.#options.dir, key));
    if (!trailer) return undefined;
    const content = new CachedContent(this.#contentDeps, key, trailer.size);
    content.attach();
    return content;
  }

  /** Removes a sealed content that nobody has open here. */
  #remove(key: CacheKey, blocks: number): Eviction {
    const { remover, sync, onUnsealed } = this.#contentDeps;
    sync.forget(contentName(key));
    const eviction = remover.remove(sealedPath(this.#options.dir, key), blocks * BLOCK_BYTES);
    onUnsealed(key);
    return eviction;
  }

  async #takeStock(): Promise<void> {
    const { dir } = this.#options;
    const found = await this.#tolerating(dir, async () => {
      await sweep(dir);
      return shards(dir);
    });
    for (const shard of found ?? []) await this.#tolerating(shard, () => scan(shard, (file) => this.#see(file)));
  }

  /** One bad directory must not keep the cache from using the others. */
  async #tolerating<T>(path: string, act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log(`cache: ${path} cannot be looked through (${reason}); what lies there is not counted`);
      return undefined;
    }
  }

  #see(file: FoundFile): void {
    if (file.kind === 'sealed') this.#index.adopt(contentName(file.key), wholeBlocks(file.size));
    else if (file.kind === 'junk') this.#contentDeps.remover.remove(file.path, 0);
    else if (!this.#uses.has(contentName(file.key))) {
      const content = this.#unusedPart(file.key);
      if (content) content.close();
      else this.#contentDeps.remover.remove(file.path, 0);
    }
  }
}
