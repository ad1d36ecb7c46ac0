import { closeSync, readSync } from 'node:fs';
import type { CacheKey } from '../cache/data-cache.ts';
import { closeQuietly, openSealed } from '../cache/sealed.ts';
import type { Node } from './nodes.ts';
import { Fopen, Ioctl, OUT_HEADER, REQUEST_DATA_MAX } from './protocol.ts';
import { errno, Refusal, type Request, type Session, u32, u64 } from './session.ts';
import { ioctl } from './syscalls.ts';

const O_ACCMODE = 3;
const O_TRUNC = 0o1000;
/** Fetched whole at open, so that its reads never come to us. */
const SMALL_BYTES_MAX = 1 << 20;
const BACKINGS_KEPT = 4096;
const TOUCHED_BATCH = 64;
const NODE_FDS_MAX = 1024;

/** An open file: a local descriptor, or a handle of the main thread's for what is not wholly here. */
interface OpenFile {
  readonly node: Node;
  readonly fd: number | undefined;
  readonly remote: number | undefined;
  readonly isPassthrough: boolean;
}

export class Files {
  readonly #session: Session;
  readonly #open = new Map<number, OpenFile>();
  /** Nodes whose backing file the kernel keeps for the next open, the least recently opened first. */
  readonly #kept = new Map<number, Node>();
  #touched: CacheKey[] = [];
  readonly #nodeFds = new Map<number, number>();
  #handles = 0;
  #canPassthrough: boolean;

  constructor(session: Session) {
    this.#session = session;
    this.#canPassthrough = session.options.wantsPassthrough;
  }

  open(request: Request): void {
    if (this.#session.options.isTraining) throw new Refusal(errno.ENOSYS); // the kernel remembers, and never asks again
    const flags = u32(request, 40);
    if ((flags & O_ACCMODE) !== 0 || (flags & O_TRUNC) !== 0) throw new Refusal(errno.EROFS);
    const node = this.#session.node(request);
    if (node.attributes.size === 0)
      return this.#reply(request, { node, fd: undefined, remote: undefined, isPassthrough: false }, 0);
    if (this.#openHere(request, node)) return;
    this.#askToOpen(request, node, (remote) => {
      if (remote === undefined && this.#openHere(request, node)) return;
      if (remote === undefined) throw new Refusal(errno.EIO); // evicted again at once: the cache is far too small
      this.#reply(request, { node, fd: undefined, remote, isPassthrough: false }, 0);
    });
  }

  read(request: Request): void {
    const handle = u64(request, 40);
    const offset = u64(request, 48);
    const size = Math.min(u32(request, 56), REQUEST_DATA_MAX);
    if (this.#session.options.isTraining) return this.#readByNode(request, offset, size);
    const file = this.#open.get(handle);
    if (!file) throw new Refusal(errno.EBADF);
    if (file.fd !== undefined) return this.#readFrom(request, file.fd, offset, size);
    if (file.remote === undefined) return this.#session.send(request.unique, 0);
    this.#session.ask(request, { ask: 'read', handle: file.remote, offset, size }, () => {});
  }

  release(request: Request): void {
    const handle = u64(request, 40);
    const file = this.#open.get(handle);
    this.#open.delete(handle);
    this.#session.send(request.unique, 0);
    if (!file) return;
    if (file.fd !== undefined) closeQuietly(file.fd);
    if (file.remote !== undefined) this.#session.post({ close: file.remote });
    if (file.isPassthrough) {
      file.node.passthroughOpens--;
      this.#shrink();
    } else file.node.cachedOpens--;
  }

  /** The kernel has forgotten the node, or the cache its file. */
  drop(node: Node): void {
    const fd = this.#nodeFds.get(node.id);
    this.#nodeFds.delete(node.id);
    if (fd !== undefined) closeQuietly(fd);
    if (node.backing === 0 || node.passthroughOpens > 0) return;
    this.#kept.delete(node.id);
    const argument = Buffer.alloc(4);
    argument.writeUInt32LE(node.backing);
    node.backing = 0;
    try {
      ioctl(this.#session.options.fd, Ioctl.BACKING_CLOSE, argument);
    } catch {
      // Unmounted: the kernel has dropped it already.
    }
  }

  #askToOpen(request: Request, node: Node, then: (remote: number | undefined) => void): void {
    const session = this.#session;
    const path = session.pathOf(node);
    const isSmall = node.attributes.size <= SMALL_BYTES_MAX;
    const open = (row: Uint8Array) => {
      session.ask(request, { ask: 'open', path, row: Uint8Array.from(row), isSmall }, (answer) => {
        if (!('handle' in answer)) throw new Refusal(errno.EIO);
        then(answer.handle);
      });
    };
    const row = session.rowOf(node);
    if (row) return open(row);
    session.ask(request, { ask: 'stat', path }, (answer) => {
      if (!('row' in answer)) throw new Refusal(errno.EIO);
      open(answer.row);
    });
  }

  /** False when the file is not wholly in the cache. */
  #openHere(request: Request, node: Node): boolean {
    const mayPass = this.#canPassthrough && node.cachedOpens === 0;
    if (mayPass && node.backing !== 0) {
      this.#touch(node);
      this.#passthrough(request, node);
      return true;
    }
    const { generation, size } = node.attributes;
    const fd = openSealed(this.#session.options.cacheDir, { id: node.inodeId, generation }, size);
    if (fd === undefined) return false;
    this.#touch(node);
    if (mayPass && this.#giveBacking(node, fd)) {
      closeSync(fd);
      this.#passthrough(request, node);
    } else if (node.passthroughOpens > 0) {
      closeQuietly(fd);
      throw new Refusal(errno.EIO);
    } else this.#reply(request, { node, fd, remote: undefined, isPassthrough: false }, 0);
    return true;
  }

  #giveBacking(node: Node, fd: number): boolean {
    const argument = Buffer.alloc(16);
    argument.writeInt32LE(fd, 0);
    try {
      node.backing = ioctl(this.#session.options.fd, Ioctl.BACKING_OPEN, argument);
      return true;
    } catch (error) {
      this.#canPassthrough = false;
      this.#session.post({ log: `the kernel takes no backing files (${String(error)}); reads go through the agent` });
      return false;
    }
  }

  #passthrough(request: Request, node: Node): void {
    this.#kept.delete(node.id);
    this.#kept.set(node.id, node);
    this.#reply(request, { node, fd: undefined, remote: undefined, isPassthrough: true }, Fopen.PASSTHROUGH);
  }

  #reply(request: Request, file: OpenFile, flags: number): void {
    const handle = ++this.#handles;
    this.#open.set(handle, file);
    if (file.isPassthrough) file.node.passthroughOpens++;
    else file.node.cachedOpens++;
    const kept = file.isPassthrough ? 0 : Fopen.KEEP_CACHE; // the pages of a node never change: a content is a node
    this.#session.reply.opened(
      OUT_HEADER,
      handle,
      flags | kept | Fopen.NOFLUSH,
      file.isPassthrough ? file.node.backing : 0,
    );
    this.#session.send(request.unique, 16);
  }

  #shrink(): void {
    for (const node of this.#kept.values()) {
      if (this.#kept.size <= BACKINGS_KEPT) return;
      if (node.passthroughOpens === 0) this.drop(node);
    }
  }

  /** The cache learns of hits that never came to it, many at a time. */
  #touch(node: Node): void {
    this.#touched.push({ id: node.inodeId, generation: node.attributes.generation });
    if (this.#touched.length < TOUCHED_BATCH) return;
    this.#session.post({ touched: this.#touched });
    this.#touched = [];
  }

  /** Without open calls (the training profile) a read names only its node. */
  #byNode(node: Node): number | undefined {
    const known = this.#nodeFds.get(node.id);
    if (known !== undefined) {
      this.#nodeFds.delete(node.id);
      this.#nodeFds.set(node.id, known);
      return known;
    }
    const { generation, size } = node.attributes;
    const fd = openSealed(this.#session.options.cacheDir, { id: node.inodeId, generation }, size);
    if (fd === undefined) return undefined;
    this.#touch(node);
    this.#nodeFds.set(node.id, fd);
    for (const [old, oldFd] of this.#nodeFds) {
      if (this.#nodeFds.size <= NODE_FDS_MAX) break;
      this.#nodeFds.delete(old);
      closeQuietly(oldFd);
    }
    return fd;
  }

  #readByNode(request: Request, offset: number, size: number): void {
    const node = this.#session.node(request);
    if (node.attributes.size === 0) return this.#session.send(request.unique, 0);
    const fd = this.#byNode(node);
    if (fd !== undefined) return this.#readFrom(request, fd, offset, size);
    this.#askToOpen(request, node, (remote) => {
      const opened = remote === undefined ? this.#byNode(node) : undefined;
      if (opened !== undefined) return this.#readFrom(request, opened, offset, size);
      if (remote === undefined) throw new Refusal(errno.EIO);
      this.#session.ask(request, { ask: 'read', handle: remote, offset, size }, () => {});
      this.#session.post({ close: remote });
    });
  }

  #readFrom(request: Request, fd: number, offset: number, size: number): void {
    this.#session.send(request.unique, readSync(fd, this.#session.reply.bytes, OUT_HEADER, size, offset));
  }
}
