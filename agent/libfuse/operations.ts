import { constants } from 'node:fs';
import { isFault } from '#shared/model/faults.ts';
import type { Inode } from '#shared/model/inode.ts';
import { fromText, type Name, type Path, toText } from '#shared/model/names.ts';
import type { AttributePatch } from '#shared/namespace/namespace.ts';
import { nodeKindIn } from '../fuse/node-kinds.ts';
import { errno, refuse, xattrMode } from '../fuse/requests.ts';
import { asWrittenIn } from './written.ts';
import { HiddenFiles, isHiddenPath, type OperationsDeps } from './hidden-files.ts';

const PAGE = 1024;

/** What libfuse asks of names and attributes, answered by the namespace. */
export class Operations {
  readonly #deps: OperationsDeps;
  readonly #hidden: HiddenFiles;

  constructor(deps: OperationsDeps) {
    this.#deps = deps;
    this.#hidden = new HiddenFiles(deps);
  }

  async stat(path: Path): Promise<Inode> {
    const { namespace, actor, dirty, files } = this.#deps;
    const hidden = this.#hidden.get(path);
    const inode = hidden
      ? await this.#hidden.shown(files.asWritten(hidden))
      : (await namespace.stat(actor, path)).inode;
    return asWrittenIn(dirty, inode);
  }

  /** Of an open file: of itself, whatever has its name now. */
  async statOpen(path: Path, handle: number): Promise<Inode> {
    const opened = this.#deps.files.inodeOf(handle);
    const now = await this.stat(path).catch((error: unknown) => {
      if (isFault(error, 'notFound', 'notDirectory')) return undefined;
      throw error;
    });
    return now?.id === opened.id ? now : this.#hidden.without(opened);
  }

  async list(path: Path): Promise<{ readonly name: string; readonly inode: Inode }[]> {
    const { namespace, actor } = this.#deps;
    const all: { readonly name: string; readonly inode: Inode }[] = [];
    let after: Name | undefined;
    do {
      const page = await namespace.list(actor, path, { limit: PAGE, ...(after !== undefined && { after }) });
      for (const { name, inode } of page.entries) all.push({ name: toText(name), inode });
      after = page.next;
    } while (after !== undefined);
    return all;
  }

  async readLink(path: Path): Promise<string> {
    const { target } = await this.stat(path);
    return target === undefined ? refuse(errno.EINVAL) : toText(target);
  }

  async makeDirectory(path: Path, mode: number): Promise<void> {
    await this.#deps.namespace.mkdir(this.#deps.actor, path, { mode: mode & 0o7777 });
  }

  /** A regular file too: without a handle, so nobody writes it yet. */
  async makeNode(path: Path, mode: number, device: number): Promise<void> {
    const { namespace, actor } = this.#deps;
    const kind = nodeKindIn(mode) ?? refuse(errno.EINVAL);
    const permissions = { mode: mode & 0o7777 };
    if (kind === 'file') await namespace.create(actor, path, permissions);
    else await namespace.mknod(actor, path, { ...permissions, kind, device });
  }

  async link(from: Path, to: Path): Promise<void> {
    await this.#deps.namespace.link(this.#deps.actor, from, to);
  }

  async makeSymlink(path: Path, target: string): Promise<void> {
    await this.#deps.namespace.symlink(this.#deps.actor, path, fromText(target));
  }

  async rename(from: Path, to: Path): Promise<void> {
    if (isHiddenPath(to)) await this.#hidden.hide(from, to);
    else await this.#deps.namespace.rename(this.#deps.actor, from, to);
  }

  async remove(path: Path, kind: 'file' | 'directory'): Promise<void> {
    if (this.#hidden.get(path)) this.#hidden.forget(path);
    else await this.#deps.namespace.remove(this.#deps.actor, path, kind);
  }

  async setAttributes(path: Path, patch: AttributePatch): Promise<void> {
    const hidden = this.#hidden.get(path);
    if (hidden) return this.#hidden.change(path, hidden, patch);
    const { namespace, actor, dirty } = this.#deps;
    const act = () => namespace.setAttributes(actor, path, patch);
    const file = patch.mtime === undefined ? undefined : dirty.get((await namespace.stat(actor, path)).inode.id);
    await (file ? file.settingTimes(act) : act());
  }

  async truncate(path: Path, size: number): Promise<void> {
    const { files } = this.#deps;
    const handle = await files.open(path, constants.O_WRONLY | (size === 0 ? constants.O_TRUNC : 0));
    try {
      await files.truncate(handle, size);
      await files.flush(handle);
    } finally {
      files.release(handle);
    }
  }

  async xattr(path: Path, name: string): Promise<Buffer> {
    // What is not kept at all: programs such as ls ask one file, and then no other of this file system.
    if (!name.startsWith('user.') && !name.startsWith('trusted.')) refuse(errno.EOPNOTSUPP);
    const value = (await this.stat(path)).xattrs?.[fromText(name)];
    return value === undefined ? refuse(errno.ENODATA) : Buffer.from(value, 'latin1');
  }

  async xattrNames(path: Path): Promise<Buffer> {
    const names = Object.keys((await this.stat(path)).xattrs ?? {});
    return Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');
  }

  async setXattr(
    path: Path,
    name: string,
    { value, flags }: { readonly value: Buffer; readonly flags: number },
  ): Promise<void> {
    const { namespace, actor } = this.#deps;
    await namespace.setXattr(actor, path, fromText(name), value.toString('latin1'), xattrMode(flags));
  }

  async removeXattr(path: Path, name: string): Promise<void> {
    await this.#deps.namespace.removeXattr(this.#deps.actor, path, fromText(name));
  }
}
