import type { InodeId } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import type { CommitResult, RowKey } from '../ports/metastore.ts';
import type { Context, Place } from './context.ts';

/**
 * Where renamed directories went. Whoever holds a directory's old key must be able to tell a renamed one from a removed one:
 * what is put into a removed one is taken back.
 */
const MOVED_MAX = 10_000;

/** Makes the commit that renames a directory. Who misses the directory meanwhile waits for the outcome. */
export async function moving(
  context: Context,
  id: InodeId,
  to: RowKey,
  makeCommit: () => Promise<CommitResult>,
): Promise<CommitResult> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const all = Promise.all([context.moving.get(id), promise]);
  context.moving.set(id, all);
  try {
    const result = await makeCommit();
    if (result.committed) remember(context, id, to);
    return result;
  } finally {
    resolve();
    if (context.moving.get(id) === all) context.moving.delete(id);
  }
}

/** Looks for a directory by the key where it was seen, and then where it was renamed to. Undefined: it has been removed. */
export async function found(
  context: Context,
  { key, inode: { id } }: Pick<Place, 'key' | 'inode'>,
  look: (key: RowKey) => Promise<Inode | undefined>,
): Promise<{ readonly key: RowKey; readonly inode: Inode } | undefined> {
  for (let at = key; ;) {
    const inode = await look(at);
    if (inode?.id === id) return { key: at, inode };
    await context.moving.get(id);
    const moved = context.movedTo.get(id);
    if (!moved || moved === at) return undefined;
    at = moved;
  }
}

/** The oldest are forgotten, but not while their listing runs: that may take as long as it likes. */
function remember({ movedTo, listings }: Context, id: InodeId, key: RowKey): void {
  movedTo.delete(id);
  movedTo.set(id, key);
  for (const old of movedTo.keys()) {
    if (movedTo.size <= MOVED_MAX) return;
    if (!listings.has(old)) movedTo.delete(old);
  }
}
