import type { InodeId } from '#shared/model/ids.ts';
import { inodesOf, isOfFiles } from '#shared/feed/changes.ts';
import { keptDirectory } from '#shared/feed/directory-paths.ts';
import { nanosOf, putRow } from '#shared/namespace/context.ts';
import type { Clock } from '#shared/ports/clock.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import type { StreamChange } from './stream-records.ts';

const FOLD_MS = 1000;
const WRITES_AT_ONCE = 16;

/**
 * The times of directories whose entries came or went: at most once a second for each, because creators do not touch their
 * directory. What is not due yet waits for a later batch, in memory: the last change of a burst may leave the times of one that
 * was less than a second earlier.
 */
export class FoldedTimes {
  readonly #metastore: Metastore;
  readonly #clock: Clock;
  /** By directory: when the latest change was made. */
  readonly #due = new Map<InodeId, number>();
  /** By directory, in this order: when it was written last. */
  readonly #written = new Map<InodeId, number>();

  constructor({ metastore, clock }: { readonly metastore: Metastore; readonly clock: Clock }) {
    this.#metastore = metastore;
    this.#clock = clock;
  }

  async fold(changes: readonly StreamChange[]): Promise<void> {
    for (const change of changes) {
      const { directory } = change.key;
      if (!isOfFiles(change) || !touches(change)) continue;
      this.#due.set(directory, Math.max(this.#due.get(directory) ?? 0, timeOf(change)));
    }
    const ready = this.#ready();
    for (let at = 0; at < ready.length; at += WRITES_AT_ONCE) {
      await Promise.all(ready.slice(at, at + WRITES_AT_ONCE).map(([id, time]) => this.#write(id, time)));
    }
  }

  #ready(): [InodeId, number][] {
    const now = this.#clock();
    for (const [id, at] of this.#written) {
      if (now - at < FOLD_MS) break;
      this.#written.delete(id);
    }
    const ready = [...this.#due].filter(([id]) => !this.#written.has(id));
    for (const [id] of ready) {
      this.#due.delete(id);
      this.#written.set(id, now);
    }
    return ready;
  }

  /**
   * Not worth a retry: whoever was quicker set the times too, or has removed the directory. Times that somebody has set by hand
   * since the change, as who unpacks an archive does, stay: that made `ctime` later.
   */
  async #write(id: InodeId, at: number): Promise<void> {
    const directory = await keptDirectory(this.#metastore, id);
    const time = nanosOf(at);
    if (!directory || directory.inode.closing || time <= directory.inode.ctime) return;
    await this.#metastore.commit([putRow(directory.key, directory.inode, { mtime: time, ctime: time })]);
  }
}

/** An entry that a listing of its store has brought had been there all the time. */
function touches(change: StreamChange): boolean {
  const { gone, come } = inodesOf(change);
  return gone !== undefined || (come !== undefined && (come.bornAt !== undefined || come.version > 1));
}

/** An inode of the first version tells when it was made; of all else the stream knows the second. */
function timeOf({ after, at }: StreamChange): number {
  return after && after.kind !== 'record' && after.version === 1 ? (after.bornAt ?? at) : at;
}
