import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { isFault, LeatError } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import { baseName, parentOf, type Path, toText } from '#shared/model/names.ts';
import type { Actor, Found } from '#shared/namespace/namespace.ts';
import type { ChangeFeed } from '#shared/ports/change-feed.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import type { CachedFile, DataCache } from '../cache/data-cache.ts';
import type { DirtyFile } from '../dirty/dirty-file.ts';
import type { DirtyFiles } from '../dirty/dirty-files.ts';
import { mapPath, openDirty } from '../dirty/dirty-paths.ts';
import { Handles } from '../fuse/handles.ts';
import { errno, isWriting, locally, O_TRUNC, refuse } from '../fuse/requests.ts';
import { SizeLimits } from '../fuse/size-limits.ts';
import { refreshing, type StoreContentDeps, stored } from '../fuse/store-content.ts';
import { LocalWrites } from './local-writes.ts';
import { asWritten } from './written.ts';

/** Fetched whole at open: another version in the store shows then, and not in the middle of a read. */
const SMALL_BYTES_MAX = 1 << 20;
const ATTEMPTS_MAX = 3;

export interface OpenFilesDeps extends StoreContentDeps {
  readonly cache: DataCache;
  readonly dirty: DirtyFiles;
  readonly dirtyDir: string;
  readonly feed: ChangeFeed;
  readonly flushed: () => Promise<void>;
  readonly actor: Actor;
}

interface OpenFile {
  /** As it was when it was opened. */
  readonly inode: Inode;
  /** Of who may write. */
  readonly writing?: DirtyFile;
  readonly cached?: CachedFile;
  /** Of the local file, once the file is written here: whoever has it open sees what is written. */
  fd?: number;
}

/** What is open through libfuse, by handles of our own: fuse-native knows files by their paths, which change. */
export class OpenFiles {
  readonly #deps: OpenFilesDeps;
  readonly #writes: LocalWrites;
  readonly #open = new Handles<OpenFile>();

  constructor(deps: OpenFilesDeps) {
    this.#deps = deps;
    this.#writes = new LocalWrites(deps.dirty, new SizeLimits(deps));
  }

  /** When the store has another version than the row, the row has been brought in step meanwhile. */
  async open(path: Path, flags: number): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      try {
        if (isWriting(flags)) return await this.#openToWrite(path, (flags & O_TRUNC) !== 0);
        return await this.#openToRead(path);
      } catch (error) {
        if (attempt >= ATTEMPTS_MAX || !isFault(error, 'changed')) throw error;
      }
    }
  }

  /**
   * fuse-native does not tell whether the file must be new (O_EXCL). When another has made it meanwhile, `changed` has the
   * kernel look again, and decide.
   */
  async create(path: Path, mode: number): Promise<number> {
    const { namespace, actor, dirty } = this.#deps;
    const at = await this.#rowAt(path);
    try {
      const inode = await namespace.create(actor, path, { mode: mode & 0o7777, holder: dirty.holder });
      return await this.#addWriter(inode, dirty.created(at, inode));
    } catch (error) {
      if (!isFault(error, 'exists')) throw error;
      throw new LeatError('changed', `${toText(path)}: was made by another meanwhile`, { cause: error });
    }
  }

  async read(handle: number, into: Uint8Array, offset: number): Promise<number> {
    const { inode, writing, fd, cached } = this.#at(handle);
    const file = writing ?? this.#deps.dirty.get(inode.id);
    if (file) return this.#deps.dirty.reader(file).read(into, offset);
    if (fd !== undefined) return locally(() => readSync(fd, into, 0, into.length, offset));
    return cached?.read(into, offset) ?? 0;
  }

  write(handle: number, bytes: Uint8Array, offset: number): Promise<number> {
    return this.#writes.write(this.#writable(handle), bytes, offset);
  }

  truncate(handle: number, size: number): Promise<void> {
    return this.#writes.truncate(this.#writable(handle), size);
  }

  /** What `close` means of each handle that shares the open file. */
  async flush(handle: number): Promise<void> {
    const { writing } = this.#at(handle);
    if (writing) await this.#deps.dirty.flush(writing);
  }

  async sync(handle: number): Promise<void> {
    const { writing, inode } = this.#at(handle);
    const file = writing ?? this.#deps.dirty.get(inode.id);
    await (file ? this.#deps.dirty.sync(file) : this.#deps.flushed());
  }

  release(handle: number): void {
    const file = this.#open.remove(handle);
    if (file) this.#close(file);
  }

  /** Of the file itself, whatever has its name now. */
  inodeOf(handle: number): Inode {
    const { inode, writing, fd } = this.#at(handle);
    return asWritten(inode, writing ? writing.fd : fd);
  }

  /** Of one without a name: as those have it who had it open when it was written. */
  asWritten(inode: Inode): Inode {
    const reader = this.#open.all().find(({ inode: { id }, fd }) => id === inode.id && fd !== undefined);
    return { ...inode, size: asWritten(inode, reader?.fd).size };
  }

  has(id: InodeId): boolean {
    return this.#open.all().some(({ inode }) => inode.id === id);
  }

  close(): void {
    for (const file of this.#open.all()) this.#close(file);
    this.#writes.close();
  }

  async #openToRead(path: Path): Promise<number> {
    const { namespace, cache, actor } = this.#deps;
    const found = await namespace.stat(actor, path);
    const { inode } = found;
    const here = this.#openHere(found);
    if (here) return this.#open.add({ inode, ...here });
    if (inode.dirty) throw await stored(this.#deps, actor, found);
    const { id, generation, size } = inode;
    const cached = cache.open({ id, generation }, size, refreshing(this.#deps, found));
    try {
      if (size <= SMALL_BYTES_MAX) await cached.load();
    } catch (error) {
      cached.close();
      throw error;
    }
    // Somebody may have begun to write it meanwhile.
    return this.#open.add({ inode, cached, ...this.#openHere(found) });
  }

  /** What is written here, or was and rests; undefined when that is nothing. */
  #openHere(found: Found): Pick<OpenFile, 'fd' | 'cached'> | undefined {
    const { dirty, dirtyDir } = this.#deps;
    const { id, size, dirty: held } = found.inode;
    const file = dirty.get(id);
    if (file) return { fd: openSync(file.path, 'r') };
    const fd = held?.holder === dirty.holder ? openDirty(dirtyDir, id, size) : undefined;
    if (fd === undefined || !existsSync(mapPath(dirtyDir, id))) return fd === undefined ? undefined : { fd };
    // Some of it is only in its store.
    closeSync(fd);
    const cached = dirty.readerOf(found);
    return cached && { cached };
  }

  async #openToWrite(path: Path, isTruncated: boolean): Promise<number> {
    const { namespace, actor, dirty } = this.#deps;
    const found = await namespace.stat(actor, path, { toWrite: true });
    const file = await dirty.open(found, await this.#rowAt(path), { isTruncated });
    for (const reader of this.#open.all()) {
      if (reader.writing || reader.inode.id !== found.inode.id) continue;
      if (reader.fd !== undefined) closeSync(reader.fd);
      reader.fd = openSync(file.path, 'r');
    }
    return this.#addWriter(found.inode, file);
  }

  async #addWriter(inode: Inode, writing: DirtyFile): Promise<number> {
    try {
      await this.#writes.opened(writing);
      return this.#open.add({ inode, writing });
    } catch (error) {
      this.#deps.dirty.release(writing);
      throw error;
    }
  }

  async #rowAt(path: Path): Promise<RowKey> {
    const { namespace, actor } = this.#deps;
    const { inode } = await namespace.stat(actor, parentOf(path), { follow: true });
    return { directory: inode.id, name: baseName(path) };
  }

  #writable(handle: number): DirtyFile {
    return this.#at(handle).writing ?? refuse(errno.EBADF);
  }

  #close({ fd, cached, writing }: OpenFile): void {
    if (fd !== undefined) closeSync(fd);
    cached?.close();
    if (writing) this.#deps.dirty.release(writing);
  }

  #at(handle: number): OpenFile {
    return this.#open.get(handle) ?? refuse(errno.EBADF);
  }
}
