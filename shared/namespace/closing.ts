import { LeatError } from '../model/faults.ts';
import type { Inode } from '../model/inode.ts';
import { toText } from '../model/names.ts';
import type { RowKey } from '../ports/metastore.ts';
import { asRead, commit, type Context, inodeAt, LEASE_MS, type Place, putRow } from './context.ts';
import { found } from './directory-keys.ts';
import type { Actor } from './namespace.ts';

/**
 * The flag protocol of create and rmdir (ARCHITECTURE §3). A creator writes its row and then reads the directory; a remover
 * marks the directory and then reads its entries. Each writes before it reads, so at least one sees the other, and no
 * creator needs a transaction on the directory.
 */
const POLL_MS = 5;

/**
 * The second read of create, and of everybody who meets a row younger than the lease: false when the directory is gone. While
 * it is closing we wait for the outcome.
 */
export async function confirmed(context: Context, directory: Place): Promise<boolean> {
  return (await found(context, directory, (key) => opened(context, key, directory.inode))) !== undefined;
}

/** The row of this inode once it is not closing; undefined when it is not at this key any more. */
export async function opened(context: Context, key: RowKey, { id }: Inode): Promise<Inode | undefined> {
  for (;;) {
    const now = await inodeAt(context, key);
    if (now?.id !== id) return undefined;
    if (!now.closing) return now;
    // A mark whose lease is over was left by a remover that died, and holds nobody.
    if (now.closing.until <= context.clock()) await reopen(context, key, now);
    else await context.sleep(POLL_MS);
  }
}

/** True when one of them was being removed: by now that is decided, and the places are to be looked up again. */
export async function hasWaited(context: Context, places: readonly Pick<Place, 'key' | 'inode'>[]): Promise<boolean> {
  const closing = places.find(({ inode }) => inode.closing);
  if (closing) await opened(context, closing.key, closing.inode);
  return closing !== undefined;
}

/**
 * Marks a directory, then looks for entries: hands the marked row, on whose version the removal has to depend, to `act`. The
 * mark is taken off again unless that removes the row, which is any answer but `undefined`. Throws `notEmpty`; answers
 * `undefined` when somebody else was quicker.
 */
export async function closedEmpty<Result>(
  context: Context,
  actor: Actor,
  place: Place,
  act: (marked: Inode) => Promise<Result | undefined>,
): Promise<Result | undefined> {
  const open = await opened(context, place.key, place.inode);
  if (!open) return undefined;
  const closing = { token: context.newToken(), until: context.clock() + LEASE_MS };
  if (!(await commit(context, actor, [putRow(place.key, open, { closing })])).committed) return undefined;
  const marked = { ...open, version: open.version + 1, closing };
  let result: Result | undefined;
  try {
    const [entry] = await context.metastore.list(place.inode.id, { limit: 1 });
    if (entry) throw new LeatError('notEmpty', `${toText(place.path)}: is not empty; it holds ${toText(entry.name)}`);
    result = context.clock() < closing.until ? await act(marked) : undefined;
    return result;
  } finally {
    if (result === undefined) await reopen(context, place.key, marked);
  }
}

/** Only the mark that was seen is taken off: the version says whether it still is. */
async function reopen(context: Context, key: RowKey, inode: Inode): Promise<void> {
  const { closing: _, ...open } = inode;
  const row = { ...open, version: inode.version + 1 };
  await context.metastore.commit([{ act: 'put', key, when: asRead(inode), row }]);
}
