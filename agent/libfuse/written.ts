import { fstatSync } from 'node:fs';
import type { Inode, Nanos } from '#shared/model/inode.ts';
import type { DirtyFiles } from '../dirty/dirty-files.ts';

interface Local {
  readonly size: number;
  readonly mtime: Nanos;
}

/** What `stat` shows of a file that is written here: how it is now, which its row says only when it is closed. */
export function asWrittenIn(dirty: DirtyFiles, inode: Inode): Inode {
  const local = dirty.get(inode.id)?.stat();
  return local ? shown(inode, local) : inode;
}

/** The same by the local file, if there is one. */
export function asWritten(inode: Inode, fd: number | undefined): Inode {
  if (fd === undefined) return inode;
  const { size, mtimeNs: mtime } = fstatSync(fd, { bigint: true });
  return shown(inode, { size: Number(size), mtime });
}

function shown(inode: Inode, { size, mtime }: Local): Inode {
  return { ...inode, size, mtime, ctime: mtime > inode.ctime ? mtime : inode.ctime };
}
