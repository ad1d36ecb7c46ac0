import { closeSync, readSync } from 'node:fs';
import type { HotAttributes } from '#shared/model/row-codec.ts';
import type { CacheKey } from '../cache/data-cache.ts';
import { closeQuietly, openSealed } from '../cache/sealed.ts';
import { openDirty } from '../dirty/dirty-paths.ts';
import type { LiveFile } from './live-files.ts';
import { readerOf } from './live-opens.ts';
import type { Node } from './nodes.ts';
import type { OpenFiles } from './open-files.ts';
import { OUT_HEADER, REQUEST_DATA_MAX } from './protocol.ts';
import { errno, must, Refusal, refuse, type Request, u32, u64 } from './requests.ts';
import type { Session } from './session.ts';

/** Fetched whole at open, so that its reads never come to us. */
const SMALL_BYTES_MAX = 1 << 20;
const TOUCHED_BATCH = 64;
const NODE_FDS_MAX = 1024;

/** Reads of files. */
export class Files {
  readonly #session: Session;
  readonly #open: OpenFiles;
  /** In the training profile: descriptors by node, the least recently used first. */
  readonly #nodeFds = new Map<Node, number>();
  #touched: CacheKey[] = [];

  constructor(session: Session, open: OpenFiles) {
    this.#session = session;
    this.#open = open;
  }

  open(request: Request): void {
    if (this.#session.options.isTraining) throw new Refusal(errno.ENOSYS); // the kernel remembers, and never asks again
    const node = this.#session.node(request);
    const live = this.#session.live.get(node);
    if (live) return this.#open.opened(request, readerOf(this.#open, node, live));
    const backing = this.#open.isCached(node) ? undefined : this.#open.backings.take(node);
    if (backing !== undefined) return this.#passThrough(request, node, backing);
    const attributes = this.#session.attributesOf(node) ?? refuse(errno.ESTALE);
    node.attributes ??= attributes;
    if (attributes.size === 0) return this.#open.opened(request, { node, reads: { from: 'nothing' } });
    if (this.#openHere(request, node, attributes)) return;
    this.#askToOpen(request, { node, attributes }, (handle) => {
      if (handle !== undefined)
        return this.#open.opened(request, { node, reads: { from: 'main', handle, generation: node.generation } });
      // Evicted again at once: the cache is far too small.
      if (!this.#openHere(request, node, attributes)) throw new Refusal(errno.EIO);
    });
  }

  read(request: Request): void {
    if (this.#session.options.isTraining) return this.#readByNode(request);
    const { node, reads } = this.#open.get(request);
    // Whoever opened it before it was written sees what is written.
    const live = this.#session.live.get(node);
    if (live && !(live.isSettled && live.base?.isPartial)) return this.#readLive(request, live);
    if (reads.from === 'live' || reads.from === 'node') return this.#readByNode(request);
    if (reads.from === 'local') return this.#readFrom(request, reads.fd, rangeOf(request));
    if (reads.from === 'main' && reads.generation === node.generation) {
      return this.#readAtMain(request, reads.handle, rangeOf(request));
    }
    if (reads.from === 'main') return this.#readByNode(request);
    this.#session.send(request.unique, 0);
  }

  /** The kernel has forgotten the node, or the cache its file. */
  drop(node: Node): void {
    this.changed(node);
    this.#open.backings.drop(node);
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
    const fd = this.#localFile(node, attributes);
    if (fd === undefined) return false;
    if (!attributes.isDirty) this.#touch(key);
    const { backings } = this.#open;
    const backing = this.#open.isCached(node) ? undefined : (backings.take(node) ?? backings.make(node, fd));
    if (backing === undefined) this.#open.opened(request, { node, reads: { from: 'local', fd } });
    else {
      closeSync(fd);
      this.#open.opened(request, { node, reads: { from: 'kernel', backing } });
    }
    return true;
  }

  /** Of what is wholly here, in the cache or because it was written here. */
  #localFile({ inodeId }: Node, attributes: HotAttributes): number | undefined {
    const { cacheDir, dirtyDir } = this.#session.options;
    const { generation, size, isDirty } = attributes;
    return isDirty ? openDirty(dirtyDir, inodeId, size) : openSealed(cacheDir, { id: inodeId, generation }, size);
  }

  #passThrough(request: Request, node: Node, backing: number): void {
    if (node.attributes) this.#touch(keyOf(node, node.attributes));
    this.#open.opened(request, { node, reads: { from: 'kernel', backing } });
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

  /** The node has another content than when it was opened. */
  changed(node: Node): void {
    const fd = this.#nodeFds.get(node);
    this.#nodeFds.delete(node);
    if (fd !== undefined) closeQuietly(fd);
  }

  /** Without open calls (the training profile) a read names only its node; so it is where an open file has got another content since. */
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
    const fd = known ?? this.#localFile(node, attributes);
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

  #readLive(request: Request, { node, fd, base }: LiveFile): void {
    const { offset, size } = rangeOf(request);
    const isHere = !base || base.isHere({ offset, length: size });
    if (isHere) return this.#readFrom(request, fd, { offset, size });
    const again = { ...request, bytes: Buffer.from(request.bytes.subarray(0, request.length)) };
    const refused = (code: number) => {
      // Settled meanwhile, as we have been told since.
      const isOver = code === errno.ESTALE && this.#session.live.get(node)?.isSettled !== false;
      if (!isOver) return this.#session.error(request.unique, code);
      this.#session.guarded(request.unique, () => this.#readByNode(again));
    };
    // The main thread replies to the kernel by itself.
    this.#session.ask(request, { ask: 'readWritten', id: node.inodeId, offset, size }, () => {}, refused);
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
