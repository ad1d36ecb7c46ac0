import type { InodeId } from '../model/ids.ts';
import type { Nanos } from '../model/inode.ts';
import { toText } from '../model/names.ts';
import type { Context, Place } from './context.ts';
import { inodeAt, nanosOf, putRow } from './context.ts';
import { found } from './directory-keys.ts';

const FOLD_MS = 1000;

interface Folding {
  /** Of the last change. */
  at: Nanos;
  /** Touched again since the times were written last. */
  isDue: boolean;
  /** Somebody sets the times by hand: what happened before does not count any more. */
  isCancelled: boolean;
}

/**
 * An entry came or went: the directory's times follow, at once and then at most once a second, because a write of the
 * directory's row by every creator would make them wait for one another.
 */
export class DirectoryTimes {
  readonly #foldings = new Map<InodeId, Folding>();
  readonly #writing = new Set<Promise<void>>();
  #isStopped = false;

  touch(context: Context, directory: Place): void {
    if (context.isShared) return; // whoever reads the feed does it for everybody
    this.#touchAt(context, directory, nanosOf(context.clock()));
  }

  cancel(id: InodeId): void {
    const folding = this.#foldings.get(id);
    if (folding) Object.assign(folding, { isDue: false, isCancelled: true });
  }

  /** Times still due are left as they are: what is in the directory is what counts. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#writing);
  }

  #touchAt(context: Context, directory: Place, at: Nanos): void {
    const folding = this.#foldings.get(directory.inode.id);
    if (folding) Object.assign(folding, { at, isDue: true });
    else if (!this.#isStopped) this.#begin(context, directory, at);
  }

  #begin(context: Context, directory: Place, at: Nanos): void {
    const { id } = directory.inode;
    const folding: Folding = { at, isDue: false, isCancelled: false };
    this.#foldings.set(id, folding);
    const writing = fold(context, directory, folding).finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
    void writing
      .then(() => context.sleep(FOLD_MS))
      .then(() => {
        this.#foldings.delete(id);
        if (folding.isDue) this.#touchAt(context, directory, folding.at);
      });
  }
}

/**
 * What is written is the time of the change, not of the writing: times do not move by themselves. It is not worth a retry:
 * whoever was quicker set them too, or has removed the directory.
 */
async function fold(context: Context, directory: Place, folding: Folding): Promise<void> {
  try {
    const now = await found(context, directory, (key) => inodeAt(context, key));
    if (!now || now.inode.closing || folding.isCancelled) return;
    const { at } = folding;
    const ctime = now.inode.ctime > at ? now.inode.ctime : at;
    await context.metastore.commit([putRow(now.key, now.inode, { mtime: at, ctime })]);
  } catch (error) {
    context.log(`${toText(directory.path)}: its times were not written: ${String(error)}`);
  }
}
