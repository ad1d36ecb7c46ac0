import { ABOVE_ROOT, type InodeId, ROOT } from '../model/ids.ts';
import { PATH_BYTES_MAX } from '../model/names.ts';
import { foundById, type KeptDirectory } from '../namespace/directory-keys.ts';
import { ROOT_KEY } from '../namespace/rows-ahead.ts';
import type { RowChange } from '../ports/change-feed.ts';
import type { Metastore, RowKey } from '../ports/metastore.ts';

const DIRECTORIES_MAX = 10_000;
/** A name and its slash take two bytes at least. */
const DEPTH_MAX = PATH_BYTES_MAX / 2;

/**
 * The way from a directory's id to its path, up by the records of where each is kept. Remembered until the feed tells of a
 * change, so whoever uses it has to pass on what it reads there.
 */
export class DirectoryPaths {
  readonly #metastore: Metastore;
  readonly #known = new Map<InodeId, KeptDirectory>();
  /** Reads under way; a change meanwhile takes them away, and what they find is not remembered. */
  readonly #reads = new Map<InodeId, object>();

  constructor(metastore: Metastore) {
    this.#metastore = metastore;
  }

  changed(changes: readonly RowChange[]): void {
    for (const { before, after } of changes) {
      for (const row of [before, after]) {
        if (row?.kind !== 'directory') continue;
        this.#known.delete(row.id);
        this.#reads.delete(row.id);
      }
    }
  }

  /** From the root down to the directory itself. Undefined: no path leads to it. */
  async wayTo(id: InodeId): Promise<readonly KeptDirectory[] | undefined> {
    const way: KeptDirectory[] = [];
    for (let at = id; way.length < DEPTH_MAX;) {
      const directory = this.#known.get(at) ?? (await this.#read(at));
      if (!directory) return undefined;
      way.push(directory);
      if (directory.key.directory === ABOVE_ROOT) return way.reverse();
      at = directory.key.directory;
    }
    return undefined;
  }

  async #read(id: InodeId): Promise<KeptDirectory | undefined> {
    const read = {};
    this.#reads.set(id, read);
    const directory = await keptDirectory(this.#metastore, id);
    if (this.#reads.get(id) !== read) return directory;
    this.#reads.delete(id);
    if (directory) this.#remember(id, directory);
    return directory;
  }

  #remember(id: InodeId, directory: KeptDirectory): void {
    const oldest = this.#known.size < DIRECTORIES_MAX ? undefined : this.#known.keys().next().value;
    if (oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(id, directory);
  }
}

/** Where a directory is now; undefined when it has been removed. */
export function keptDirectory(metastore: Metastore, id: InodeId): Promise<KeptDirectory | undefined> {
  const look = async (key: RowKey) => {
    const [row] = await metastore.get([key]);
    return row?.kind === 'directory' ? row : undefined;
  };
  return foundById(metastore, id, { look, from: id === ROOT ? ROOT_KEY : undefined });
}
