import { read } from 'node:fs';
import { promisify } from 'node:util';
import { isFault, LeatError } from '#shared/model/faults.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import type { Found, Namespace } from '#shared/namespace/namespace.ts';
import type { CachedFile, DataCache, Fetch, Room } from '../cache/data-cache.ts';
import { writeWhole } from '../cache/local-file.ts';
import { PAGE_BYTES } from '../cache/page-map.ts';
import { DirtyFile } from './dirty-file.ts';
import { BaseBlocks, type BytesRange } from './base-blocks.ts';
import { spansOf } from './local-content.ts';

const readAt = promisify(read);

interface ReaderDeps {
  readonly cache: Pick<DataCache, 'open'>;
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
  file.base = BaseBlocks.find(file.mapPath, inode.size);
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
    await this.#file.using(async (fd, base) => {
      for (const span of spansOf({ offset, length }, base)) {
        const piece = target.subarray(span.offset - offset, span.offset - offset + span.length);
        if (base && span.from === 'base') await this.#readMissing(base, piece, span.offset, signal);
        else piece.fill(0, (await readAt(fd, piece, 0, piece.length, span.offset)).bytesRead);
      }
    });
    return length;
  }

  /** Nothing of it can be fetched: it is here, or has no copy elsewhere. */
  async load(): Promise<boolean> {
    return true;
  }

  close(): void {
    this.#means.close();
  }

  /** Brings whole blocks of the base into the file. */
  fill(ranges: readonly BytesRange[]): Promise<void> {
    return this.#file.using(async (fd, base) => {
      if (!base) return;
      for (const { offset, length } of ranges) {
        const end = Math.min(offset + length, base.baseBytes);
        for (let at = offset; at < end; at += PAGE_BYTES) {
          const bytes = new Uint8Array(Math.min(PAGE_BYTES, end - at));
          await this.#readBase(base, bytes, at);
          base.bring({ offset: at, length: bytes.length }, (run) => {
            keep(fd, bytes.subarray(run.offset - at, run.offset - at + run.length), run.offset);
          });
        }
      }
    });
  }

  /** Behind the end of the base are zeros. */
  async #readMissing(base: BaseBlocks, into: Uint8Array, offset: number, signal?: AbortSignal): Promise<void> {
    const length = Math.max(0, Math.min(into.length, base.baseBytes - offset));
    await this.#readBase(base, into.subarray(0, length), offset, signal);
    into.fill(0, length);
  }

  /** What an upload of ours has just put in the place of what was there has the same bytes where nothing was written. */
  async #readBase(base: BaseBlocks, into: Uint8Array, offset: number, signal?: AbortSignal): Promise<void> {
    try {
      await this.#readObject(base, into, offset, signal);
    } catch (error) {
      if (!isFault(error, 'changed')) throw error;
      await this.#file.inTurn(async () => {});
      await this.#readObject(base, into, offset, signal);
    }
  }

  async #readObject(base: BaseBlocks, into: Uint8Array, offset: number, signal?: AbortSignal): Promise<void> {
    const { cache, fetchFor } = this.#deps;
    const found = await this.#means.find();
    if (!found) throw new LeatError('unavailable', 'the file was removed, and what was not read of it with it');
    const { id } = found.inode;
    const { dirty: _, ...stored } = found.inode;
    const { size, generation } = this.#file.object ?? { size: base.baseBytes, generation: base.baseGeneration };
    const cached = cache.open({ id, generation }, size, fetchFor({ ...found, inode: stored }));
    try {
      if ((await cached.read(into, offset, signal)) < into.length) {
        throw new LeatError('changed', 'the content that was written upon ends too early');
      }
    } finally {
      cached.close();
    }
  }
}

function keep(fd: number, bytes: Uint8Array, offset: number): void {
  try {
    writeWhole(fd, bytes, offset);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    throw new LeatError('noSpace', 'the disk of the cache is full; make room on it', { cause: error });
  }
}
