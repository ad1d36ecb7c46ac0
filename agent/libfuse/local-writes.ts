import { ftruncateSync } from 'node:fs';
import { type BytesRange, cutRange } from '../dirty/base-blocks.ts';
import type { DirtyFile } from '../dirty/dirty-file.ts';
import type { DirtyFiles } from '../dirty/dirty-files.ts';
import { tellCut, tellWritten } from '../dirty/progress.ts';
import type { SizeLimits } from '../fuse/size-limits.ts';
import { errno, FILE_BYTES_MAX, locally, refuse, writeLocally } from '../fuse/requests.ts';

/**
 * Changes of what lies in local files, as far as quotas and the cache have room: blocks that are changed in part are fetched first,
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

  constructor(dirty: DirtyFiles, limits: SizeLimits) {
    this.#dirty = dirty;
    this.#limits = limits;
    this.#unsubscribe = dirty.room.onRoom((bytes) => (this.#room = bytes));
  }

  /** Somebody has opened it to write. */
  async opened(file: DirtyFile): Promise<void> {
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
    let written = 0;
    change(file, range, () => (written = writeLocally(file, bytes, 0, range)));
    if (!file.base) tellWritten(file, range, (progress) => this.#dirty.progressed(file, progress));
    return written;
  }

  async truncate(file: DirtyFile, size: number): Promise<void> {
    this.#demandSize(file, size);
    const cut = cutRange(size);
    await this.#fill(file, cut);
    change(file, cut, () => locally(() => ftruncateSync(file.fd, size)));
    tellCut(file, size, (progress) => this.#dirty.progressed(file, progress));
  }

  #demandSize(file: DirtyFile, size: number): void {
    if (size > FILE_BYTES_MAX) refuse(errno.EFBIG);
    if (size > (this.#sizeMax.get(file) ?? FILE_BYTES_MAX)) refuse(errno.EDQUOT);
  }

  async #fill(file: DirtyFile, range: BytesRange): Promise<void> {
    const missing = file.base?.missingAtEnds(range) ?? [];
    if (missing.length > 0) await this.#dirty.reader(file).fill(missing);
  }
}

function change({ base }: DirtyFile, range: BytesRange, act: () => void): void {
  if (base) base.change(range, act);
  else act();
}
