import { type Context, inodeAt, nanosOf, type Place, putRow } from './context.ts';

const FOLD_MS = 1000;

interface Folding {
  isDue: boolean;
}

const foldings = new WeakMap<Context, Map<string, Folding>>();

/**
 * An entry came or went: the directory's times follow, at once and then at most once a second, because a write of the
 * directory's row by every creator would make them wait for one another.
 */
export function touchDirectory(context: Context, directory: Place): void {
  const byId = foldings.get(context) ?? new Map<string, Folding>();
  foldings.set(context, byId);
  const folding = byId.get(directory.inode.id);
  if (folding) {
    folding.isDue = true;
    return;
  }
  byId.set(directory.inode.id, { isDue: false });
  void fold(context, directory)
    .then(() => context.sleep(FOLD_MS))
    .then(() => {
      const { isDue } = byId.get(directory.inode.id) ?? { isDue: false };
      byId.delete(directory.inode.id);
      if (isDue) touchDirectory(context, directory);
    });
}

/** Times are not worth a retry: whoever was quicker set them too, or has removed the directory. */
async function fold(context: Context, directory: Place): Promise<void> {
  try {
    const key = context.movedTo.get(directory.inode.id) ?? directory.key;
    const now = await inodeAt(context, key);
    if (now?.id !== directory.inode.id || now.closing) return;
    const time = nanosOf(context.clock());
    await context.metastore.commit([putRow(key, now, { mtime: time, ctime: time })]);
  } catch (error) {
    context.log(`${directory.path}: times not written: ${String(error)}`);
  }
}
