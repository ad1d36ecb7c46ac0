import type { InodeId } from '#shared/model/ids.ts';
import type { Inode, Row } from '#shared/model/inode.ts';
import type { ChangeFeed, RowChange } from '#shared/ports/change-feed.ts';

const KEPT_MAX = 10_000;

/** Directories in no quota: asked for once, and then as long as no quota is set, and no directory moved. */
export class UnlimitedDirectories {
  readonly #ids = new Set<InodeId>();
  readonly close: () => void;

  constructor(feed: ChangeFeed) {
    this.close = feed.subscribe(({ changes }) => {
      if (this.#ids.size > 0 && changes.some(mayLimit)) this.#ids.clear();
    });
  }

  has(id: InodeId): boolean {
    return this.#ids.has(id);
  }

  add(id: InodeId): void {
    if (this.#ids.size >= KEPT_MAX) this.#ids.clear();
    this.#ids.add(id);
  }
}

function mayLimit({ before, after }: RowChange): boolean {
  if (!isDirectory(after)) return false;
  return !isDirectory(before) ? after.version > 1 : JSON.stringify(before.quota) !== JSON.stringify(after.quota);
}

const isDirectory = (row: Row | undefined): row is Inode => row?.kind === 'directory';
