import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { isFault, LeatError } from '../model/faults.ts';
import { childKey, type StoredKind, type StoreKey } from '../model/inode.ts';
import { toText } from '../model/names.ts';
import {
  type ByteRange,
  type ReadOptions,
  type Sink,
  type StoreAttributes,
  type StoreEntry,
  STORE_PAGE_ENTRIES,
  type StorePage,
  type UnderStore,
  type WriteOptions,
} from '../ports/under-store.ts';
import {
  applyAttributes,
  codeOf,
  copyNew,
  demandVersion,
  demandWanted,
  entryAt,
  isAbsence,
  localFault,
  syncDirectory,
  writeNew,
} from './local-files.ts';
import { KeptListings, TEMPORARY_PREFIX } from './local-names.ts';
import { handOver, StoppedRead } from './stopped-read.ts';

const STATS_IN_FLIGHT = 16;
const READ_BYTES = 256 * 1024;
const BUFFERS_KEPT = 16;
/** A fifo must not hold up whoever opens it, and a symlink is not gone through. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

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
  readonly #base: string;
  readonly #listings = new KeptListings();
  readonly #buffers: Buffer[] = [];

  constructor(root: string) {
    this.uri = `file://${root}`;
    this.#base = Buffer.from(root.replace(/\/+$/, '') || '/').toString('latin1');
  }

  stat(key: StoreKey): Promise<StoreEntry | undefined> {
    return this.#attempt('cannot be looked at', key, async () =>
      (await this.#isInside(key)) ? entryAt(this.#path(key), key) : undefined,
    );
  }

  list(directory: StoreKey, cursor?: string): Promise<StorePage> {
    return this.#attempt('cannot be listed', directory, async () => {
      if (!(await this.#isInside(`${directory}/` as StoreKey))) return { entries: [], unnameable: 0 };
      const where = { after: cursor, limit: STORE_PAGE_ENTRIES };
      const { names, hasMore } = await this.#listings.page(directory, this.#path(directory), where);
      const prefix = directory === '' ? '' : `${directory}/`;
      const keys = names.map((name) => `${prefix}${name.endsWith('/') ? name.slice(0, -1) : name}` as StoreKey);
      const entries = await inLanes(keys, (key) => entryAt(this.#path(key), key));
      const last = names.at(-1);
      return {
        entries: entries.filter((entry) => entry !== undefined),
        unnameable: 0,
        ...(hasMore && last !== undefined && { cursor: last }),
      };
    });
  }

  read(key: StoreKey, range: ByteRange, sink: Sink, options: ReadOptions = {}): Promise<void> {
    return this.#explained('cannot be read', key, async () => {
      await this.#demandInside(key);
      const file = await fs.open(this.#path(key), READ_FLAGS);
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
    return this.#attempt('cannot be written', key, () =>
      this.#replace(key, async (temporary) => {
        await writeNew(temporary, body, signal);
        if (attributes) await applyAttributes(temporary, 'file', attributes);
        if (when === 'absent') return fs.link(temporary, this.#path(key));
        // No file system can do this in one step; who writes in between is found out by the next listing.
        if (when !== undefined && (await this.#entry(key))?.fingerprint !== when)
          throw new LeatError('changed', 'was changed in its folder');
        return fs.rename(temporary, this.#path(key));
      }),
    );
  }

  makeDirectory(key: StoreKey, attributes?: StoreAttributes): Promise<void> {
    return this.#attempt('cannot be made', key, async () => {
      await this.#makeParents(key);
      await fs.mkdir(this.#path(key)).catch(async (error: unknown) => {
        if (codeOf(error) !== 'EEXIST' || (await this.#entry(key))?.kind !== 'directory') throw error;
      });
      if (attributes) await applyAttributes(this.#path(key), 'directory', attributes);
    });
  }

  makeSymlink(key: StoreKey, target: string, attributes: StoreAttributes = {}): Promise<StoreEntry> {
    return this.#attempt('cannot be made', key, () =>
      this.#replace(key, async (temporary) => {
        await fs.symlink(Buffer.from(target, 'latin1'), temporary);
        await applyAttributes(temporary, 'symlink', attributes);
        await fs.rename(temporary, this.#path(key));
      }),
    );
  }

  setAttributes(key: StoreKey, attributes: StoreAttributes): Promise<StoreEntry> {
    return this.#attempt('cannot be given other attributes', key, async () => {
      await this.#demandInside(key);
      const { kind } = await this.#mustEntry(key);
      await applyAttributes(this.#path(key), kind, attributes);
      return this.#mustEntry(key);
    });
  }

  copy(from: StoreKey, to: StoreKey): Promise<StoreEntry> {
    return this.#attempt('cannot be copied', from, async () => {
      await this.#demandInside(from);
      const original = await this.#mustEntry(from);
      return this.#replace(to, async (temporary) => {
        await copyNew(this.#path(from), temporary, original);
        await fs.rename(temporary, this.#path(to));
      });
    });
  }

  move(from: StoreKey, to: StoreKey): Promise<void> {
    return this.#attempt('cannot be moved', from, async () => {
      const isThere = (await this.#isInside(from)) && (await this.#entry(from)) !== undefined;
      // Done before, when a caller was not told.
      if (!isThere && (await this.#isInside(to)) && (await this.#entry(to))) return;
      await this.#mustEntry(from);
      await this.#makeParents(to);
      await fs.rename(this.#path(from), this.#path(to));
    });
  }

  remove(key: StoreKey, kind: StoredKind): Promise<void> {
    return this.#attempt('cannot be removed', key, async () => {
      if (!(await this.#isInside(key))) return;
      const path = this.#path(key);
      await (kind === 'directory' ? fs.rmdir(path) : fs.unlink(path)).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error;
      });
    });
  }

  capacity(): Promise<{ readonly total: number; readonly free: number }> {
    return this.#attempt('cannot be measured', '' as StoreKey, async () => {
      const { bsize, blocks, bavail } = await fs.statfs(this.#path('' as StoreKey));
      return { total: bsize * blocks, free: bsize * bavail };
    });
  }

  async close(): Promise<void> {
    this.#listings.clear();
    this.#buffers.length = 0;
  }

  #path(key: StoreKey): Buffer {
    return Buffer.from(key === '' ? this.#base : `${this.#base}/${key}`, 'latin1');
  }

  /** Makes an entry under another name beside its own; `make` then gives it its own in one step. */
  async #replace(key: StoreKey, make: (temporary: Buffer) => Promise<void>): Promise<StoreEntry> {
    await this.#makeParents(key);
    const parent = parentOf(key);
    const name = `${TEMPORARY_PREFIX}${crypto.randomUUID()}`;
    const temporary = this.#path(childKey(parent, name));
    try {
      await make(temporary);
      await syncDirectory(this.#path(parent));
    } finally {
      await fs.unlink(temporary).catch(() => undefined);
    }
    return this.#mustEntry(key);
  }

  /** One by one: made all at once they would be made behind a symlink too. */
  async #makeParents(key: StoreKey): Promise<void> {
    for (const above of directoriesAbove(key)) {
      await this.#demandDirectory(above).catch(async (error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error;
        await fs.mkdir(this.#path(above)).catch((failed: unknown) => {
          if (codeOf(failed) !== 'EEXIST') throw failed;
        });
        await this.#demandDirectory(above);
      });
    }
  }

  /** Every directory on the way is a real one: a symlink would lead out of the folder. */
  async #demandInside(key: StoreKey): Promise<void> {
    for (const above of directoriesAbove(key)) await this.#demandDirectory(above);
  }

  async #demandDirectory(key: StoreKey): Promise<void> {
    if ((await fs.lstat(this.#path(key))).isDirectory()) return;
    throw new LeatError('notDirectory', `${toText(key)} is not a directory`);
  }

  /** False when a directory on the way is missing or is something else. */
  async #isInside(key: StoreKey): Promise<boolean> {
    try {
      await this.#demandInside(key);
      return true;
    } catch (error) {
      if (isAbsence(error) || isFault(error, 'notDirectory')) return false;
      throw error;
    }
  }

  #entry(key: StoreKey): Promise<StoreEntry | undefined> {
    return entryAt(this.#path(key), key);
  }

  async #mustEntry(key: StoreKey): Promise<StoreEntry> {
    const entry = await this.#entry(key);
    if (entry) return entry;
    throw new LeatError('notFound', 'no such file');
  }

  async #attempt<Result>(what: string, key: StoreKey, act: () => Promise<Result>): Promise<Result> {
    await this.#demandRoot();
    return this.#explained(what, key, act);
  }

  async #demandRoot(): Promise<void> {
    const root = await fs.stat(this.#path('' as StoreKey)).catch(() => undefined);
    if (!root?.isDirectory())
      throw new LeatError('unavailable', `${this.uri}: the folder is not there; is its disk or NAS mounted?`);
  }

  async #explained<Result>(what: string, key: StoreKey, act: () => Promise<Result>): Promise<Result> {
    try {
      return await act();
    } catch (error) {
      if (error instanceof StoppedRead) throw error.cause;
      if (isAbsence(error)) await this.#demandRoot();
      throw localFault(error, `${this.uri}/${toText(key)}: ${what}`);
    }
  }
}

/** From the top down; of `a/b/` also `a/b`. */
function directoriesAbove(key: StoreKey): StoreKey[] {
  const names = key.split('/').slice(0, -1);
  return key.startsWith('/') ? [] : names.map((_, i) => names.slice(0, i + 1).join('/') as StoreKey);
}

const parentOf = (key: StoreKey): StoreKey => key.slice(0, Math.max(0, key.lastIndexOf('/'))) as StoreKey;

async function inLanes<Item, Result>(items: readonly Item[], act: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await act(items[i] as Item);
  };
  await Promise.all(Array.from({ length: STATS_IN_FLIGHT }, lane));
  return results;
}
