import { childKey } from '#shared/model/inode.ts';
import { joinPath, type Name, type Path } from '#shared/model/names.ts';
import type { Actor, Found, Namespace } from '#shared/namespace/namespace.ts';

const PAGE_ENTRIES = 1000;

/** The file itself, or every file below a directory, across mounts. Symlinks below are not followed. */
export async function* filesBelow(namespace: Namespace, actor: Actor, path: Path): AsyncGenerator<Found> {
  const start = await namespace.stat(actor, path, { follow: true });
  if (start.inode.kind !== 'directory') {
    yield start;
    return;
  }
  // Directories that wait; files are handed on as they come, so memory is bounded by the number of directories.
  const waiting = [start.path];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    const found = await namespace.stat(actor, directory);
    for (let after: Name | undefined, more = true; more;) {
      const page = { limit: PAGE_ENTRIES, ...(after !== undefined && { after }) };
      const { entries, next } = await namespace.list(actor, directory, page);
      for (const { name, inode } of entries) {
        if (inode.kind === 'directory') waiting.push(joinPath(directory, name));
        else if (inode.kind === 'file') yield childOf(found, name, inode);
      }
      after = next;
      more = next !== undefined;
    }
  }
}

function childOf({ path, origin }: Found, name: Name, inode: Found['inode']): Found {
  const own = inode.origin ?? (origin && { mount: origin.mount, key: childKey(origin.key, name) });
  return { path: joinPath(path, name), inode, ...(own && { origin: own }) };
}
