import * as fs from 'node:fs/promises';
import { LeatError } from '../model/faults.ts';
import type { StoredKind, StoreKey } from '../model/inode.ts';
import { inLanes } from '../namespace/lanes.ts';
import {
  type ByteRange,
  type ObjectUpload,
  type ReadOptions,
  type Sink,
  type StoreAttributes,
  type StoreEntry,
  STORE_PAGE_ENTRIES,
  type StorePage,
  type UnderStore,
  type UploadOptions,
  type WriteOptions,
} from '../ports/under-store.ts';
import {
  applyAttributes,
  codeOf,
  copyNew,
  demandVersion,
  demandWanted,
  entryAt,
  nameNew,
  READ_FLAGS,
  syncDirectory,
  writeNew,
} from './local-files.ts';
import { LocalFolder, parentOf } from './local-folder.ts';
import { KeptListings } from './local-names.ts';
import { LocalUpload } from './local-upload.ts';
import { handOver } from './stopped-read.ts';

const STATS_IN_FLIGHT = 16;
const READ_BYTES = 256 * 1024;
const BUFFERS_KEPT = 16;

/**
 * A folder, or the mount point of a NAS. Nothing outside of it is ever touched: a symlink is shown as one and never gone
 * through. When the folder itself is missing (a NAS that is not mounted) everything is `unavailable`, never empty.
 */
export function localUnderStore({ root }: { readonly root: string }): UnderStore {
  return new LocalUnderStore(root);
}

class LocalUnderStore implements UnderStore {
  readonly supports = { directories: true, move: true };
  readonly uri: string;
  readonly #folder: LocalFolder;
  readonly #listings = new KeptListings();
  readonly #buffers: Buffer[] = [];

  constructor(root: string) {
    this.#folder = new LocalFolder(root);
    this.uri = this.#folder.uri;
  }

  stat(key: StoreKey): Promise<StoreEntry | undefined> {
    return this.#folder.attempt('cannot be looked at', key, async () =>
      (await this.#folder.isInside(key)) ? entryAt(this.#folder.path(key), key) : undefined,
    );
  }

  list(directory: StoreKey, cursor?: string): Promise<StorePage> {
    return this.#folder.attempt('cannot be listed', directory, async () => {
      if (!(await this.#folder.isInside(`${directory}/` as StoreKey))) return { entries: [], unnameable: 0 };
      const where = { after: cursor, limit: STORE_PAGE_ENTRIES };
      const { names, hasMore } = await this.#listings.page(directory, this.#folder.path(directory), where);
      const prefix = directory === '' ? '' : `${directory}/`;
      const keys = names.map((name) => `${prefix}${name.endsWith('/') ? name.slice(0, -1) : name}` as StoreKey);
      const entries: (StoreEntry | undefined)[] = [];
      await inLanes(keys.entries(), STATS_IN_FLIGHT, async ([i, key]) => {
        entries[i] = await entryAt(this.#folder.path(key), key);
      });
      const last = names.at(-1);
      return {
        entries: entries.filter((entry) => entry !== undefined),
        unnameable: 0,
        ...(hasMore && last !== undefined && { cursor: last }),
      };
    });
  }

  read(key: StoreKey, range: ByteRange, sink: Sink, options: ReadOptions = {}): Promise<void> {
    return this.#folder.explained('cannot be read', key, async () => {
      await this.#folder.demandInside(key);
      const file = await fs.open(this.#folder.path(key), READ_FLAGS);
      const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
      try {
        const size = await demandVersion(file, options);
        const end = Math.min(range.offset + range.length, size);
        for (let at = range.offset; at < end;) {
          demandWanted(options.signal);
          const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
          if (bytesRead === 0) break;
          handOver(sink, buffer.subarray(0, bytesRead));
          at += bytesRead;
        }
        if (options.fingerprint !== undefined) await demandVersion(file, options);
      } finally {
        if (this.#buffers.length < BUFFERS_KEPT) this.#buffers.push(buffer);
        await file.close();
      }
    });
  }

  write(key: StoreKey, body: AsyncIterable<Uint8Array>, options: WriteOptions = {}): Promise<StoreEntry> {
    const { attributes, when, signal } = options;
    const make = async (temporary: Buffer) => {
      await writeNew(temporary, body, signal);
      if (attributes) await applyAttributes(temporary, 'file', attributes);
    };
    return this.#folder.attempt('cannot be written', key, () => this.#replace(key, make, when));
  }

  upload(key: StoreKey, options: UploadOptions = {}): Promise<ObjectUpload> {
    const attempt = <Result>(act: () => Promise<Result>) => this.#folder.attempt('cannot be uploaded', key, act);
    return attempt(async () => {
      await this.#folder.makeParents(key);
      const id = crypto.randomUUID();
      const temporary = this.#folder.temporary(key, id);
      const place = (when: WriteOptions['when']) => this.#place(temporary, key, when);
      return LocalUpload.begin({ ...options, id, temporary, target: this.#folder.path(key), attempt, place });
    });
  }

  abandonUpload(key: StoreKey, id: string): Promise<void> {
    return this.#folder.attempt('cannot be rid of an upload', key, async () => {
      if (!(await this.#folder.isInside(key))) return;
      await fs.unlink(this.#folder.temporary(key, id)).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error;
      });
    });
  }

  makeDirectory(key: StoreKey, attributes?: StoreAttributes): Promise<void> {
    return this.#folder.attempt('cannot be made', key, async () => {
      await this.#folder.makeParents(key);
      await fs.mkdir(this.#folder.path(key)).catch(async (error: unknown) => {
        if (codeOf(error) !== 'EEXIST' || (await this.#entry(key))?.kind !== 'directory') throw error;
      });
      if (attributes) await applyAttributes(this.#folder.path(key), 'directory', attributes);
    });
  }

  makeSymlink(key: StoreKey, target: string, attributes: StoreAttributes = {}): Promise<StoreEntry> {
    return this.#folder.attempt('cannot be made', key, () =>
      this.#replace(key, async (temporary) => {
        await fs.symlink(Buffer.from(target, 'latin1'), temporary);
        await applyAttributes(temporary, 'symlink', attributes);
      }),
    );
  }

  setAttributes(key: StoreKey, attributes: StoreAttributes): Promise<StoreEntry> {
    return this.#folder.attempt('cannot be given other attributes', key, async () => {
      await this.#folder.demandInside(key);
      const { kind } = await this.#mustEntry(key);
      await applyAttributes(this.#folder.path(key), kind, attributes);
      return this.#mustEntry(key);
    });
  }

  copy(from: StoreKey, to: StoreKey): Promise<StoreEntry> {
    return this.#folder.attempt('cannot be copied', from, async () => {
      await this.#folder.demandInside(from);
      const original = await this.#mustEntry(from);
      return this.#replace(to, (temporary) => copyNew(this.#folder.path(from), temporary, original));
    });
  }

  move(from: StoreKey, to: StoreKey): Promise<void> {
    return this.#folder.attempt('cannot be moved', from, async () => {
      const isThere = (await this.#folder.isInside(from)) && (await this.#entry(from)) !== undefined;
      // Done before, when a caller was not told.
      if (!isThere && (await this.#folder.isInside(to)) && (await this.#entry(to))) return;
      await this.#mustEntry(from);
      await this.#folder.makeParents(to);
      await fs.rename(this.#folder.path(from), this.#folder.path(to));
    });
  }

  remove(key: StoreKey, kind: StoredKind): Promise<void> {
    return this.#folder.attempt('cannot be removed', key, async () => {
      if (!(await this.#folder.isInside(key))) return;
      const path = this.#folder.path(key);
      await (kind === 'directory' ? fs.rmdir(path) : fs.unlink(path)).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error;
      });
    });
  }

  capacity(): Promise<{ readonly total: number; readonly free: number }> {
    return this.#folder.attempt('cannot be measured', '' as StoreKey, async () => {
      const { bsize, blocks, bavail } = await fs.statfs(this.#folder.path('' as StoreKey));
      return { total: bsize * blocks, free: bsize * bavail };
    });
  }

  async close(): Promise<void> {
    this.#listings.clear();
    this.#buffers.length = 0;
  }

  /** Makes an entry under another name beside its own, which it then gets in one step. */
  async #replace(
    key: StoreKey,
    make: (temporary: Buffer) => Promise<void>,
    when?: WriteOptions['when'],
  ): Promise<StoreEntry> {
    await this.#folder.makeParents(key);
    const temporary = this.#folder.temporary(key, crypto.randomUUID());
    try {
      await make(temporary);
      return await this.#place(temporary, key, when);
    } finally {
      await fs.unlink(temporary).catch(() => undefined);
    }
  }

  async #place(temporary: Buffer, key: StoreKey, when: WriteOptions['when']): Promise<StoreEntry> {
    if (when === 'absent') {
      await nameNew(temporary, this.#folder.path(key));
    } else {
      // No file system can do this in one step; who writes in between is found out by the next listing.
      if (when !== undefined && (await this.#entry(key))?.fingerprint !== when)
        throw new LeatError('changed', 'was changed in its folder');
      await fs.rename(temporary, this.#folder.path(key));
    }
    await syncDirectory(this.#folder.path(parentOf(key)));
    return this.#mustEntry(key);
  }

  #entry(key: StoreKey): Promise<StoreEntry | undefined> {
    return entryAt(this.#folder.path(key), key);
  }

  async #mustEntry(key: StoreKey): Promise<StoreEntry> {
    const entry = await this.#entry(key);
    if (entry) return entry;
    throw new LeatError('notFound', 'no such file');
  }
}
