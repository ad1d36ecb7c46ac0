import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  futimesSync,
  mkdirSync,
  openSync,
  read,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { CacheKey } from './data-cache.ts';
import { punchHole, readWithoutWaiting } from './libc.ts';
import type { PageMap } from './page-map.ts';
import { PAGE_BYTES, pagesOf } from './page-map.ts';
import type { Trailer } from './part-trailer.ts';
import { bitmapOffset, contentSize, decodeTrailer, encodeTrailer, HEADER_BYTES, partLength } from './part-trailer.ts';
import type { PageRange } from './readahead.ts';
import { isSealed, isStamp, partPath, sealedPath, UNSYNCED_STAMP } from './sealed.ts';

const PRIVATE = 0o600;
const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;

/** One open file of the cache. Its descriptor outlives `retire` until the last read on it has ended. */
export class LocalFile {
  readonly #fd: number;
  #path: string;
  #reads = 0;
  #retired = false;

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  /** Always a new inode: whoever still reads an old file of this name must not see it change. */
  static create(path: string): LocalFile {
    for (let attempt = 0; ; attempt++) {
      try {
        return new LocalFile(openSync(path, NEW_FILE, PRIVATE), path);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (attempt === 2 || (code !== 'ENOENT' && code !== 'EEXIST')) throw error;
        if (code === 'ENOENT') mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
        else unlinkSync(path);
      }
    }
  }

  /** A file with room for all pages, none of them here yet, and the map behind them. */
  static createPart(path: string, size: number, map: PageMap): LocalFile {
    const file = LocalFile.create(path);
    file.writeMap(size, map, true);
    return file;
  }

  /** What the disk holds of a content: all of it, or a part with its page map. Undefined: nothing that can be trusted. */
  static find(dir: string, key: CacheKey, size: number): { file: LocalFile; map?: PageMap } | undefined {
    const path = sealedPath(dir, key);
    if (isSealed(path, size)) return { file: new LocalFile(openSync(path, 'r'), path) };
    return pagesOf(size) > 1 ? LocalFile.#reopen(partPath(dir, key), size) : undefined;
  }

  static #reopen(path: string, size: number): { file: LocalFile; map: PageMap } | undefined {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat || stat.size !== partLength(size)) return undefined;
    const file = new LocalFile(openSync(path, 'r+'), path);
    const bytes = new Uint8Array(partLength(size) - bitmapOffset(size));
    readSync(file.#fd, bytes, 0, bytes.length, bitmapOffset(size));
    const trailer = decodeTrailer(bytes, size);
    // Closed, it bears a stamp as sealed files do. Without one, only a process that was killed in this boot explains it.
    if (!trailer || !(isStamp(stat.mtimeMs) || (trailer.open && trailer.thisBoot))) {
      file.retire();
      return undefined;
    }
    file.writeMap(size, trailer.map, true);
    // A process that was killed may have left bytes of pages that it had no time to enter in the map.
    if (trailer.open) file.#punchMissing(trailer.map, size);
    return { file, map: trailer.map };
  }

  get reading(): boolean {
    return this.#reads > 0;
  }

  write(bytes: Uint8Array, position: number): void {
    writeWhole(this.#fd, bytes, position);
  }

  /** At once when the kernel has the bytes in memory, else through libuv; short where the file ends too early. */
  read(into: Uint8Array, position: number): number | Promise<number> {
    const count = readWithoutWaiting(this.#fd, into, position);
    return count === into.length ? count : this.#readFromDisk(into, position);
  }

  writeMap(size: number, map: PageMap, open: boolean): void {
    this.write(encodeTrailer(size, map, open), bitmapOffset(size));
  }

  /** The byte of the bitmap that holds the page: one small write per page keeps the map through kill −9. */
  writeMapByte(size: number, map: PageMap, page: number): void {
    this.write(map.bits.subarray(page >> 3, (page >> 3) + 1), bitmapOffset(size) + (page >> 3));
  }

  /** Frees the blocks of pages; the map, which lies in the range of the last one, stays. */
  punch(pages: PageRange, size: number): boolean {
    const offset = pages.first * PAGE_BYTES;
    return punchHole(this.#fd, offset, Math.min(pages.end * PAGE_BYTES, bitmapOffset(size)) - offset);
  }

  /** The access time is now, so that `relatime` leaves it alone; a read would dirty the inode else. */
  stamp(nowMs: number): void {
    futimesSync(this.#fd, nowMs / 1000, UNSYNCED_STAMP);
  }

  /** Gives the file its final length and name; fails when somebody has removed or replaced it. */
  seal(options: { path: string; size: number; nowMs: number }): void {
    const { path, size, nowMs } = options;
    if (path === this.#path) return this.stamp(nowMs);
    ftruncateSync(this.#fd, size);
    this.stamp(nowMs);
    if (fstatSync(this.#fd).nlink === 0) throw new Error(`${this.#path} has been removed`);
    renameSync(this.#path, path);
    this.#path = path;
  }

  /** No new reads; the descriptor is closed as soon as the last one is done. */
  retire(): void {
    this.#retired = true;
    if (this.#reads === 0) closeSync(this.#fd);
  }

  #punchMissing(map: PageMap, size: number): void {
    for (let first = map.nextMissing(0, map.pages); first < map.pages;) {
      let end = first + 1;
      while (end < map.pages && !map.has(end)) end++;
      this.punch({ first, end }, size);
      first = map.nextMissing(end, map.pages);
    }
  }

  async #readFromDisk(into: Uint8Array, position: number): Promise<number> {
    this.#reads++;
    try {
      let done = 0;
      while (done < into.length) {
        const count = await this.#readOnce(into.subarray(done), position + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    } finally {
      this.#reads--;
      if (this.#retired && this.#reads === 0) closeSync(this.#fd);
    }
  }

  #readOnce(into: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#fd, into, 0, into.length, position, (error, count) => (error ? reject(error) : resolve(count)));
    });
  }
}

/** What a partly filled file says of itself, without a word on whether to trust it; undefined when it is none. */
export function readTrailer(path: string): Trailer | undefined {
  let fd: number | undefined;
  try {
    if (!statSync(path, { throwIfNoEntry: false })) return undefined;
    fd = openSync(path, 'r');
    const { size: length } = fstatSync(fd);
    const header = new Uint8Array(HEADER_BYTES);
    readSync(fd, header, 0, HEADER_BYTES, Math.max(0, length - HEADER_BYTES));
    const size = contentSize(header);
    if (size === undefined || partLength(size) !== length) return undefined;
    const bytes = new Uint8Array(length - bitmapOffset(size));
    readSync(fd, bytes, 0, bytes.length, bitmapOffset(size));
    return decodeTrailer(bytes, size);
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** pwrite(2) of all of it. */
export function writeWhole(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}
