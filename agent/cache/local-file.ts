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
import { punchHole, readWithoutWaiting } from './libc.ts';
import type { PageMap } from './page-map.ts';
import { PAGE_BYTES } from './page-map.ts';
import type { Trailer } from './part-trailer.ts';
import { bitmapOffset, contentSize, decodeTrailer, encodeTrailer, HEADER_BYTES, partLength } from './part-trailer.ts';
import { isStamp, UNSYNCED_STAMP } from './sealed.ts';

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

  static openSealed(path: string): LocalFile {
    return new LocalFile(openSync(path, 'r'), path);
  }

  /** Opens what an earlier user left partly filled, with its page map; undefined when it is not here or cannot be trusted. */
  static reopen(path: string, size: number): { file: LocalFile; map: PageMap } | undefined {
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
    if (trailer.open) file.#punchMissing(trailer.map);
    return { file, map: trailer.map };
  }

  get reading(): boolean {
    return this.#reads > 0;
  }

  write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, position + done);
    }
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

  punch(offset: number, length: number): boolean {
    return punchHole(this.#fd, offset, length);
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

  #punchMissing(map: PageMap): void {
    for (let page = 0; page < map.pages; page++) {
      if (!map.has(page)) this.punch(page * PAGE_BYTES, PAGE_BYTES);
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
