import type { InodeId } from '#shared/model/ids.ts';
import { inodesOf, isOfFiles } from '#shared/feed/changes.ts';
import { keptDirectory } from '#shared/feed/directory-paths.ts';
import { nanosOf, putRow } from '#shared/namespace/context.ts';
import type { Clock } from '#shared/ports/clock.ts';
import { inLanes } from '#shared/namespace/lanes.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import type { StreamChange } from './stream-records.ts';

export const FOLD_MS = 1000;
const WRITES_AT_ONCE = 16;
/** Of one call: they fit into a message. */
const LATER_MAX = 1000;

/** When the latest entry of a directory came or went, in milliseconds since the epoch. */
export type DueTime = readonly [directory: InodeId, at: number];

export interface FoldedTimesDeps {
  readonly metastore: Metastore;
  readonly clock: Clock;
  /** Has `writeTimes` called with them in `FOLD_MS`, by whomever: what is kept here may be gone by then. */
  readonly later: (due: readonly DueTime[]) => Promise<void>;
}

/**
 * The times of directories whose entries came or went: at most once a second for each, because creators do not touch their
 * directory. What comes in between is written with a later batch or, when none comes, by whoever was told to see to it.
 */
export class FoldedTimes {
  readonly #deps: FoldedTimesDeps;
  readonly #due = new Map<InodeId, number>();
  /** By directory, in this order: when it was written last. */
  readonly #written = new Map<InodeId, number>();

  constructor(deps: FoldedTimesDeps) {
    this.#deps = deps;
  }

  async fold(changes: readonly StreamChange[]): Promise<void> {
    const touched = new Set<InodeId>();
    for (const change of changes) {
      const { directory } = change.key;
      if (!isOfFiles(change) || !touches(change)) continue;
      this.#due.set(directory, Math.max(this.#due.get(directory) ?? 0, timeOf(change)));
      touched.add(directory);
    }
    await inLanes(this.#ready(), WRITES_AT_ONCE, (due) => writeTimes(this.#deps.metastore, due));
    const left = [...this.#due].filter(([id]) => touched.has(id));
    for (let at = 0; at < left.length; at += LATER_MAX) await this.#deps.later(left.slice(at, at + LATER_MAX));
  }

  #ready(): DueTime[] {
    const now = this.#deps.clock();
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
}

/**
 * Not worth a retry: whoever was quicker set the times too, or has removed the directory. Times that somebody has set by hand
 * since the change, as who unpacks an archive does, stay: that made `ctime` later.
 */
export async function writeTimes(metastore: Metastore, [id, at]: DueTime): Promise<void> {
  const directory = await keptDirectory(metastore, id);
  const time = nanosOf(at);
  if (!directory || directory.inode.closing || time <= directory.inode.ctime) return;
  await metastore.commit([putRow(directory.key, directory.inode, { mtime: time, ctime: time })]);
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
