import { LeatError } from '#shared/model/faults.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { HardLink, Inode } from '#shared/model/inode.ts';
import { type Name, type Path, toText } from '#shared/model/names.ts';
import type { Actor, AttributePatch, Namespace } from '#shared/namespace/namespace.ts';
import type { DirtyFiles } from '../dirty/dirty-files.ts';
import type { OpenFiles } from './open-files.ts';

/** What libfuse calls a file that is removed while it is open. */
const HIDDEN = /\/\.fuse_hidden[0-9a-f]{16}$/;

const NAME: HardLink = { directory: ROOT, name: '' as Name };

export interface OperationsDeps {
  readonly namespace: Namespace;
  readonly actor: Actor;
  readonly files: OpenFiles;
  readonly dirty: DirtyFiles;
}

export const isHiddenPath = (path: Path): boolean => HIDDEN.test(path);

/**
 * libfuse knows files by their paths alone, so it renames one that is removed, or replaced, while it is open, and removes it
 * when it is closed. Others would see that name, and a crash would leave it behind. Here the file is removed at once, and the
 * name means, to libfuse alone, what its open handles hold.
 */
export class HiddenFiles {
  readonly #hidden = new Map<Path, Inode>();
  readonly #deps: OperationsDeps;

  constructor(deps: OperationsDeps) {
    this.#deps = deps;
  }

  get(path: Path): Inode | undefined {
    return this.#hidden.get(path);
  }

  /** libfuse takes one name off, which it thinks is there still. */
  async shown(inode: Inode): Promise<Inode> {
    const now = await this.without(inode);
    return { ...now, links: [...(now.links ?? [NAME]), NAME] };
  }

  /** Of an inode that has lost the name by which it was known: as it is at another, else as it was, without any. */
  async without(inode: Inode): Promise<Inode> {
    for (const link of inode.links ?? []) {
      const found = await this.#deps.namespace.find({ ...link, id: inode.id });
      if (found) return found.inode;
    }
    return { ...inode, links: [] };
  }

  async hide(path: Path, as: Path): Promise<void> {
    const { namespace, actor, files } = this.#deps;
    const { inode } = await namespace.stat(actor, path);
    if (!files.has(inode.id)) throw new LeatError('invalid', `${toText(as)}: only an open file may have such a name`);
    await namespace.remove(actor, path, 'file', { id: inode.id });
    this.#hidden.set(as, inode);
  }

  /** Of an inode that has no row any more, for as long as it is open. */
  change(path: Path, inode: Inode, patch: AttributePatch): void {
    const now = BigInt(Date.now()) * 1_000_000n;
    const atime = patch.atime === 'now' ? now : patch.atime;
    const mtime = patch.mtime === 'now' ? now : patch.mtime;
    this.#hidden.set(path, {
      ...inode,
      ...patch,
      atime: atime ?? inode.atime,
      mtime: mtime ?? inode.mtime,
      ctime: now,
    });
  }

  forget(path: Path): void {
    this.#hidden.delete(path);
  }
}
