import { ftruncateSync, writeSync } from 'node:fs';
import { PAGE_BYTES } from '../cache/page-map.ts';
import type { DirtyFile } from '../dirty/dirty-file.ts';
import type { DirtyFiles } from '../dirty/dirty-files.ts';
import type { SizeLimits } from '../fuse/size-limits.ts';
import { errno, FILE_BYTES_MAX, locally, refuse } from '../fuse/requests.ts';

/** So often an upload hears how far its file has grown. */
const PROGRESS_BYTES = 8 << 20;

/**
 * Changes of what lies in local files, as far as quotas and the cache have room: pages that are changed in part are fetched first,
 * and uploads that are under way told.
 */
export class LocalWrites {
  readonly #dirty: DirtyFiles;
  readonly #limits: SizeLimits;
  /** What quotas let files become; absent: as large as files can be. */
  readonly #sizeMax = new WeakMap<DirtyFile, number>();
  readonly #unsubscribe: () => void;
  /** Bytes that written files may still grow by, until that is looked at again. */
  #room = 0;
  /** How far the upload of a file knows it. */
  readonly #toldTo = new WeakMap<DirtyFile, number>();

  constructor(dirty: DirtyFiles, limits: SizeLimits) {
    this.#dirty = dirty;
    this.#limits = limits;
    this.#unsubscribe = dirty.room.onRoom((bytes) => (this.#room = bytes));
  }

  /** Somebody has opened it to write. */
  async opened(file: DirtyFile, { isTruncated }: { readonly isTruncated: boolean }): Promise<void> {
    if (isTruncated) this.#toldTo.delete(file);
    const sizeMax = await this.#limits.of(file);
    if (sizeMax === undefined) this.#sizeMax.delete(file);
    else this.#sizeMax.set(file, sizeMax);
  }

  close(): void {
    this.#unsubscribe();
    this.#limits.close();
  }

  async write(file: DirtyFile, bytes: Uint8Array, offset: number): Promise<number> {
    const range = { offset, length: bytes.length };
    this.#demandSize(file, offset + bytes.length);
    if (this.#room < bytes.length) await this.#dirty.room.demand(bytes.length);
    this.#room -= bytes.length;
    await this.#fill(file, range);
    const { base } = file;
    base?.changing(range);
    const written = locally(() => writeSync(file.fd, bytes, 0, bytes.length, offset));
    base?.changed(range);
    if (!base) this.#tell(file, offset, offset + bytes.length);
    return written;
  }

  async truncate(file: DirtyFile, size: number): Promise<void> {
    this.#demandSize(file, size);
    // Of the page that is cut, what stays has to be here.
    const cut = { offset: size, length: size % PAGE_BYTES === 0 ? 0 : 1 };
    await this.#fill(file, cut);
    file.base?.changing(cut);
    locally(() => ftruncateSync(file.fd, size));
    file.base?.cutTo(size);
    const toldTo = this.#toldTo.get(file) ?? 0;
    if (size < toldTo) this.#dirty.progressed(file, { cut: size });
    this.#toldTo.set(file, Math.min(toldTo, size));
  }

  #demandSize(file: DirtyFile, size: number): void {
    if (size > FILE_BYTES_MAX) refuse(errno.EFBIG);
    if (size > (this.#sizeMax.get(file) ?? FILE_BYTES_MAX)) refuse(errno.EDQUOT);
  }

  async #fill(file: DirtyFile, range: { readonly offset: number; readonly length: number }): Promise<void> {
    const pages = file.base?.missingAtEnds(range) ?? [];
    if (pages.length > 0) await this.#dirty.reader(file).fill(pages);
  }

  #tell(file: DirtyFile, from: number, to: number): void {
    const toldTo = this.#toldTo.get(file) ?? 0;
    if (from < toldTo) this.#dirty.progressed(file, { rewritten: { from, to } });
    if (to < toldTo + PROGRESS_BYTES) return;
    this.#toldTo.set(file, to);
    this.#dirty.progressed(file, { grown: to });
  }
}
