import { read, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { LeatError } from '#shared/model/faults.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import type { Found, Namespace } from '#shared/namespace/namespace.ts';
import type { CachedFile, DataCache, Fetch, Room } from '../cache/data-cache.ts';
import { PAGE_BYTES } from '../cache/page-map.ts';
import { DirtyFile } from './dirty-file.ts';
import { BasePages } from './base-pages.ts';

const readAt = promisify(read);

interface ReaderDeps {
  readonly cache: DataCache;
  readonly fetchFor: (found: Found) => Fetch;
}

interface ReaderMeans {
  /** Where its base is; undefined once it has been removed. */
  readonly find: () => Promise<Found | undefined>;
  readonly close: () => void;
}

interface WrittenDeps extends ReaderDeps {
  readonly namespace: Pick<Namespace, 'find'>;
}

/** Of a file that is under way. */
export function readerOf(deps: WrittenDeps, file: DirtyFile): ContentReader {
  const find = async () => file.rowOf && deps.namespace.find(file.rowOf);
  return new ContentReader(deps, file, { find, close: () => {} });
}

/** Of a file that was written here, and rests. */
export function restingReader(deps: ReaderDeps & { readonly dir: string }, found: Found): ContentReader {
  const { inode } = found;
  const file = new DirtyFile(deps.dir, { directory: ROOT, name: '' as Name }, inode);
  file.base = BasePages.find(file.mapPath, inode.size);
  return new ContentReader(deps, file, { find: async () => found, close: () => file.close() });
}

/** The content of a dirty file as it is now: what is here, and what is still only in its base. */
export class ContentReader implements CachedFile {
  readonly #deps: ReaderDeps;
  readonly #file: DirtyFile;
  readonly #means: ReaderMeans;

  constructor(deps: ReaderDeps, file: DirtyFile, means: ReaderMeans) {
    this.#deps = deps;
    this.#file = file;
    this.#means = means;
  }

  async read(into: Uint8Array | Room, offset: number, signal?: AbortSignal): Promise<number> {
    const size = this.#file.stat()?.size ?? 0;
    const length = Math.max(0, Math.min(into.length, size - offset));
    if (length === 0) return 0;
    const target = 'take' in into ? into.take() : into;
    for (let done = 0; done < length;) {
      const at = offset + done;
      const piece = target.subarray(done, done + Math.min(length - done, PAGE_BYTES - (at % PAGE_BYTES)));
      await this.#readPiece(piece, at, signal);
      done += piece.length;
    }
    return length;
  }

  /** Nothing of it can be fetched: it is here, or has no copy elsewhere. */
  async load(): Promise<boolean> {
    return true;
  }

  close(): void {
    this.#means.close();
  }

  /** Brings pages of the base into the file. */
  async fill(pages: readonly number[]): Promise<void> {
    const { base } = this.#file;
    if (!base) return;
    for (const page of pages) {
      const offset = page * PAGE_BYTES;
      const bytes = new Uint8Array(Math.min(PAGE_BYTES, base.baseBytes - offset));
      await this.#readBase(base, bytes, offset);
      base.bring(page, () => writeSync(this.#file.fd, bytes, 0, bytes.length, offset));
    }
  }

  /** Within a page. */
  async #readPiece(into: Uint8Array, offset: number, signal?: AbortSignal): Promise<void> {
    const { base, fd } = this.#file;
    const isMissing = base && base.missingIn({ offset, length: 1 }).length > 0;
    if (!isMissing) {
      into.fill(0, (await readAt(fd, into, 0, into.length, offset)).bytesRead);
      return;
    }
    const length = Math.max(0, Math.min(into.length, base.baseBytes - offset));
    await this.#readBase(base, into.subarray(0, length), offset, signal);
    into.fill(0, length);
  }

  async #readBase(base: BasePages, into: Uint8Array, offset: number, signal?: AbortSignal): Promise<void> {
    const { cache, fetchFor } = this.#deps;
    const found = await this.#means.find();
    if (!found) throw new LeatError('unavailable', 'the file was removed, and what was not read of it with it');
    const { id } = found.inode;
    const { dirty: _, ...stored } = found.inode;
    const key = { id, generation: base.baseGeneration };
    const cached = cache.open(key, base.baseBytes, fetchFor({ ...found, inode: stored }));
    try {
      if ((await cached.read(into, offset, signal)) < into.length) {
        throw new LeatError('changed', 'the content that was written upon ends too early');
      }
    } finally {
      cached.close();
    }
  }
}
