import { constants } from 'node:fs';
import { isFault, LeatError } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import { type Path, toText } from '#shared/model/names.ts';
import type { Actor, Found, Namespace } from '#shared/namespace/namespace.ts';
import type { CachedFile, DataCache, Fetch } from '../cache/data-cache.ts';
import { Handles } from '../fuse/handles.ts';
import { errno, refuse } from '../fuse/requests.ts';

/** Fetched whole at open: another version in the store shows then, and not in the middle of a read. */
const SMALL_BYTES_MAX = 1 << 20;
const ATTEMPTS_MAX = 3;

export interface OpenFilesDeps {
  readonly namespace: Namespace;
  readonly cache: DataCache;
  readonly fetchFor: (found: Found) => Fetch;
  readonly actor: Actor;
}

interface OpenFile {
  readonly inode: Inode;
  readonly file: CachedFile;
}

/** What is open through libfuse, by handles of our own: fuse-native knows files by their paths, which change. */
export class OpenFiles {
  readonly #deps: OpenFilesDeps;
  readonly #open = new Handles<OpenFile>();

  constructor(deps: OpenFilesDeps) {
    this.#deps = deps;
  }

  /** When the store has another version than the row, the row has been brought in step meanwhile. */
  async open(path: Path, flags: number): Promise<number> {
    const isForReading = (flags & (constants.O_WRONLY | constants.O_RDWR | constants.O_TRUNC)) === 0;
    if (!isForReading) refuse(errno.EROFS);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#openNow(path);
      } catch (error) {
        if (attempt >= ATTEMPTS_MAX || !isFault(error, 'changed')) throw error;
      }
    }
  }

  async #openNow(path: Path): Promise<number> {
    const { namespace, cache, actor } = this.#deps;
    const found = await namespace.stat(actor, path);
    const { inode } = found;
    if (inode.kind === 'directory') throw new LeatError('isDirectory', `${toText(path)}: is a directory`);
    const file = cache.open({ id: inode.id, generation: inode.generation }, inode.size, this.#refreshing(found));
    try {
      if (inode.size <= SMALL_BYTES_MAX) await file.load();
      return this.#open.add({ inode, file });
    } catch (error) {
      file.close();
      throw error;
    }
  }

  read(handle: number, into: Uint8Array, offset: number): Promise<number> {
    return this.#at(handle).file.read(into, offset);
  }

  release(handle: number): void {
    this.#open.remove(handle)?.file.close();
  }

  /** As it was when it was opened. */
  inodeOf(handle: number): Inode {
    return this.#at(handle).inode;
  }

  has(id: InodeId): boolean {
    return this.#open.all().some(({ inode }) => inode.id === id);
  }

  close(): void {
    for (const { file } of this.#open.all()) file.close();
  }

  #at(handle: number): OpenFile {
    return this.#open.get(handle) ?? refuse(errno.EBADF);
  }

  #refreshing(found: Found): Fetch {
    const fetch = this.#deps.fetchFor(found);
    return async (range, sink, signal) => {
      try {
        await fetch(range, sink, signal);
      } catch (error) {
        if (!isFault(error, 'changed', 'notFound')) throw error;
        await this.#deps.namespace.refresh(found.path, found.inode);
        throw new LeatError('changed', `${toText(found.path)}: has another content now; open it again`, {
          cause: error,
        });
      }
    };
  }
}
