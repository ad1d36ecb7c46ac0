import type { InodeId } from '#shared/model/ids.ts';
import type { Clock } from '#shared/ports/clock.ts';
import type { ByteRange, Sink } from '#shared/ports/under-store.ts';
import { DiskCache } from './disk-cache.ts';

/** Bytes are immutable under their key: another content of the same file has another generation. */
export interface CacheKey {
  readonly id: InodeId;
  readonly generation: number;
}

/** Reads a range of exactly this content from where it comes from, or throws (`changed`, `unavailable` …). */
export type Fetch = (range: ByteRange, sink: Sink, signal: AbortSignal) => Promise<void>;

/** Memory for a read that is taken only once the bytes are at hand: who waits for a store need hold none. */
export interface Room {
  readonly length: number;
  /** Called once at most. */
  take(): Uint8Array;
}

/** One open file. Local trouble never shows: what the cache cannot keep is fetched again. */
export interface CachedFile {
  /** Fills `into` from `offset`, short only at the end of the file; answers how many bytes. */
  read(into: Uint8Array | Room, offset: number, signal?: AbortSignal): Promise<number>;
  /** Fetches all that is missing. True: the file is sealed now, `openSealed` finds it. False: the cache has no room for it. */
  load(signal?: AbortSignal): Promise<boolean>;
  /** The cache may evict it from now on, once every other user has closed it too. */
  close(): void;
}

export interface CacheUsage {
  readonly capacityBytes: number;
  readonly usedBytes: number;
  /** Of these the ones that are nowhere else yet. */
  readonly dirtyBytes: number;
  readonly files: number;
  /** Read from here, or of whole files that a reader opened here without us. */
  readonly hitBytes: number;
  readonly fetchedBytes: number;
}

export interface DataCache {
  open(key: CacheKey, size: number, fetch: Fetch): CachedFile;
  /** Bytes of this content that are here now. */
  cachedBytes(key: CacheKey): number;
  /** A reader got at a sealed content without us (`openSealed`): it counts as a use. */
  touched(key: CacheKey): void;
  /** A reader has it open without us (`openSealed`). */
  isHeld(key: CacheKey): boolean;
  /** Drops a content, at once or when its last user closes it. */
  drop(key: CacheKey): void;
  /**
   * A content that is wholly here becomes a file of the caller's, at a path on the same file system; who reads it goes on. False:
   * it is not here.
   */
  takeOver(key: CacheKey, size: number, path: string): boolean;
  /** The other way round: the file becomes a content of the cache, or goes when there is no room for it. */
  keep(key: CacheKey, size: number, path: string): void;
  /** Files of the caller's own on the same disk have grown or, below 0, shrunk by so many bytes: they count as used, and stay. */
  hold(bytes: number): void;
  /** Bytes that such files may still grow; below 0 they are too large already. */
  heldRoom(): number;
  usage(): CacheUsage;
  close(): Promise<void>;
}

/** Who opens sealed contents without the cache, by `openSealed`. */
export interface CacheUser {
  /** The cache dropped a content; who has it open keeps reading it. */
  evicted(key: CacheKey): void;
  /** Has it open, or may have. */
  holds(key: CacheKey): boolean;
}

export interface DataCacheOptions {
  /** The directory of the cached files, which is the cache's own. */
  readonly dir: string;
  /** Of the bytes on the disk, always. */
  readonly capacityBytes: number;
  readonly filesMax: number;
  /** Of the buffers that connections to stores hold on our behalf. */
  readonly memoryBytes: number;
  /** Of the metastore whose inode ids name the files; files of another one are thrown away. */
  readonly identity: string;
  readonly clock: Clock;
  /** A sealed content is gone; who has it open keeps reading it. */
  readonly onEvicted: (key: CacheKey) => void;
  /** A user has it open: to evict it would free nothing before it is closed. */
  readonly isHeld?: (key: CacheKey) => boolean;
  readonly log: (message: string) => void;
}

/** Serves reads at once; what earlier processes have left is looked through behind. */
export function dataCache(options: DataCacheOptions): DataCache {
  return new DiskCache(options);
}
