import { closeSync, readSync } from 'node:fs';
import type { HotAttributes } from '#shared/model/row-codec.ts';
import type { CacheKey } from '../cache/data-cache.ts';
import { closeQuietly, openSealed } from '../cache/sealed.ts';
import { Backings } from './backings.ts';
import { Handles } from './handles.ts';
import type { Node } from './nodes.ts';
import { Fopen, OUT_HEADER, REQUEST_DATA_MAX } from './protocol.ts';
import { errno, must, Refusal, refuse, type Request, u32, u64 } from './requests.ts';
import type { Session } from './session.ts';

const O_ACCMODE = 3;
const O_TRUNC = 0o1000;
/** Fetched whole at open, so that its reads never come to us. */
const SMALL_BYTES_MAX = 1 << 20;
const TOUCHED_BATCH = 64;
const NODE_FDS_MAX = 1024;

/** Where the reads of an open file go: nowhere (it is empty), to a local file, to the main thread, past us. */
type Reads =
  | { readonly from: 'nothing' }
  | { readonly from: 'local'; readonly fd: number }
  | { readonly from: 'main'; readonly handle: number }
  | { readonly from: 'kernel'; readonly backing: number };

interface OpenFile {
  readonly node: Node;
  readonly reads: Reads;
}

/** The open files of the kernel. */
export class Files {
  readonly #session: Session;
  readonly #backings: Backings;
  readonly #open = new Handles<OpenFile>();
  /** Opens of a node that go through the kernel's page cache; it refuses to mix them with passthrough. */
  readonly #cachedOpens = new Map<Node, number>();
  /** In the training profile: descriptors by node, the least recently used first. */
  readonly #nodeFds = new Map<Node, number>();
  #touched: CacheKey[] = [];

  constructor(session: Session) {
    this.#session = session;
    this.#backings = new Backings(session, (node) => this.#settle(node));
  }

  open(request: Request): void {
    if (this.#session.options.isTraining) throw new Refusal(errno.ENOSYS); // the kernel remembers, and never asks again
    const flags = u32(request, 40);
    if ((flags & O_ACCMODE) !== 0 || (flags & O_TRUNC) !== 0) throw new Refusal(errno.EROFS);
    const node = this.#session.node(request);
    const backing = this.#cachedOpens.has(node) ? undefined : this.#backings.take(node);
    if (backing !== undefined) return this.#passThrough(request, node, backing);
    const attributes = this.#session.attributesOf(node) ?? refuse(errno.ESTALE);
    node.attributes ??= attributes;
    if (attributes.size === 0) return this.#reply(request, { node, reads: { from: 'nothing' } });
    if (this.#openHere(request, node, attributes)) return;
    this.#askToOpen(request, { node, attributes }, (handle) => {
      if (handle !== undefined) return this.#reply(request, { node, reads: { from: 'main', handle } });
      // Evicted again at once: the cache is far too small.
      if (!this.#openHere(request, node, attributes)) throw new Refusal(errno.EIO);
    });
  }

  read(request: Request): void {
    if (this.#session.options.isTraining) return this.#readByNode(request);
    const { reads } = this.#open.get(u64(request, 40)) ?? refuse(errno.EBADF);
    if (reads.from === 'local') return this.#readFrom(request, reads.fd, rangeOf(request));
    if (reads.from === 'main') return this.#readAtMain(request, reads.handle, rangeOf(request));
    this.#session.send(request.unique, 0);
  }

  release(request: Request): void {
    const file = this.#open.remove(u64(request, 40));
    this.#session.send(request.unique, 0);
    if (!file) return;
    const { node, reads } = file;
    if (reads.from === 'kernel') this.#backings.release(node);
    else this.#countCached(node, -1);
    if (reads.from === 'local') closeQuietly(reads.fd);
    if (reads.from === 'main') this.#session.post({ close: reads.handle });
    this.#settle(node);
  }

  /** What was said of a node is kept while it is open, or the kernel keeps its file for the next open. */
  #settle(node: Node): void {
    const isInUse = this.#cachedOpens.has(node) || this.#backings.has(node);
    if (!isInUse && this.#session.rows?.isWhole) node.attributes = undefined;
  }

  /** The kernel has forgotten the node, or the cache its file. */
  drop(node: Node): void {
    const fd = this.#nodeFds.get(node);
    this.#nodeFds.delete(node);
    if (fd !== undefined) closeQuietly(fd);
    this.#backings.drop(node);
  }

  #askToOpen(
    request: Request,
    { node, attributes }: { readonly node: Node; readonly attributes: HotAttributes },
    then: (handle: number | undefined) => void,
  ): void {
    const path = this.#session.pathOf(node);
    const isSmall = attributes.size <= SMALL_BYTES_MAX;
    this.#session.ask(request, { ask: 'open', path, key: keyOf(node, attributes), isSmall }, (answer) => {
      if (!('handle' in answer)) throw new Refusal(errno.EIO);
      then(answer.handle);
    });
  }

  /** False when the file is not wholly in the cache. */
  #openHere(request: Request, node: Node, attributes: HotAttributes): boolean {
    const key = keyOf(node, attributes);
    const fd = openSealed(this.#session.options.cacheDir, key, attributes.size);
    if (fd === undefined) return false;
    this.#touch(key);
    const backing = this.#cachedOpens.has(node)
      ? undefined
      : (this.#backings.take(node) ?? this.#backings.make(node, fd));
    if (backing === undefined) this.#reply(request, { node, reads: { from: 'local', fd } });
    else {
      closeSync(fd);
      this.#reply(request, { node, reads: { from: 'kernel', backing } });
    }
    return true;
  }

  #passThrough(request: Request, node: Node, backing: number): void {
    if (node.attributes) this.#touch(keyOf(node, node.attributes));
    this.#reply(request, { node, reads: { from: 'kernel', backing } });
  }

  #reply(request: Request, file: OpenFile): void {
    const { node, reads } = file;
    const handle = this.#open.add(file);
    const { reply } = this.#session;
    if (reads.from === 'kernel') reply.opened(OUT_HEADER, handle, Fopen.PASSTHROUGH | Fopen.NOFLUSH, reads.backing);
    else {
      this.#countCached(node, 1);
      // The pages of a node never change: another content is another node.
      reply.opened(OUT_HEADER, handle, Fopen.KEEP_CACHE | Fopen.NOFLUSH);
    }
    this.#session.send(request.unique, 16);
  }

  #countCached(node: Node, by: 1 | -1): void {
    const count = (this.#cachedOpens.get(node) ?? 0) + by;
    if (count > 0) this.#cachedOpens.set(node, count);
    else this.#cachedOpens.delete(node);
  }

  /** The cache learns of hits that never came to it, many at a time. */
  #touch(key: CacheKey): void {
    this.#touched.push(key);
    if (this.#touched.length >= TOUCHED_BATCH) this.rest();
  }

  /** Nothing is asked for a while: what was held back is told. */
  rest(): void {
    if (this.#touched.length > 0) this.#session.post({ touched: this.#touched });
    this.#touched = [];
  }

  /** Without open calls (the training profile) a read names only its node. */
  #readByNode(request: Request): void {
    // Now: by the time of an answer the request's bytes are those of another.
    const range = rangeOf(request);
    const node = this.#session.node(request);
    const attributes = this.#session.attributesOf(node) ?? refuse(errno.ESTALE);
    if (attributes.size === 0) return this.#session.send(request.unique, 0);
    const fd = this.#fdOf(node, attributes);
    if (fd !== undefined) return this.#readFrom(request, fd, range);
    this.#askToOpen(request, { node, attributes }, (handle) => {
      if (handle === undefined) return this.#readFrom(request, must(this.#fdOf(node, attributes)), range);
      this.#readAtMain(request, handle, range);
      this.#session.post({ close: handle });
    });
  }

  #fdOf(node: Node, attributes: HotAttributes): number | undefined {
    const known = this.#nodeFds.get(node);
    if (known !== undefined) this.#nodeFds.delete(node);
    const key = keyOf(node, attributes);
    const fd = known ?? openSealed(this.#session.options.cacheDir, key, attributes.size);
    if (fd === undefined) return undefined;
    if (known === undefined) this.#touch(key);
    this.#nodeFds.set(node, fd);
    for (const [old, oldFd] of this.#nodeFds) {
      if (this.#nodeFds.size <= NODE_FDS_MAX) break;
      this.#nodeFds.delete(old);
      closeQuietly(oldFd);
    }
    return fd;
  }

  #readAtMain(request: Request, handle: number, { offset, size }: Range): void {
    // The main thread replies to the kernel by itself.
    this.#session.ask(request, { ask: 'read', handle, offset, size }, () => {});
  }

  #readFrom(request: Request, fd: number, { offset, size }: Range): void {
    this.#session.send(request.unique, readSync(fd, this.#session.reply.bytes, OUT_HEADER, size, offset));
  }
}

function keyOf({ inodeId }: Node, { generation }: HotAttributes): CacheKey {
  return { id: inodeId, generation };
}

interface Range {
  readonly offset: number;
  readonly size: number;
}

function rangeOf(request: Request): Range {
  return { offset: u64(request, 48), size: Math.min(u32(request, 56), REQUEST_DATA_MAX) };
}
