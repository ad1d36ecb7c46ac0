import { closeQuietly } from '../cache/sealed.ts';
import { Backings } from './backings.ts';
import { Handles } from './handles.ts';
import type { Node } from './nodes.ts';
import { ENTRY_BYTES, Fopen, OPENED_BYTES, OUT_HEADER } from './protocol.ts';
import { errno, refuse, type Request, u64 } from './requests.ts';
import type { Session } from './session.ts';

/** Where the reads of an open file go: nowhere (it is empty), to a local file, to the one that is written, to the main thread, past us. */
export type Reads =
  | { readonly from: 'nothing' }
  | { readonly from: 'local'; readonly fd: number }
  | { readonly from: 'live' }
  /** Of this content of the node. */
  | { readonly from: 'main'; readonly handle: number; readonly generation: number }
  | { readonly from: 'kernel'; readonly backing: number };

export interface OpenFile {
  readonly node: Node;
  readonly reads: Reads;
  readonly isWriter?: boolean;
  /** Past the kernel's page cache, which may hold another local file of this node. */
  readonly isDirect?: boolean;
}

/** The open files of the kernel, and which of its ways each of them goes: it refuses to mix some of them. */
export class OpenFiles {
  readonly backings: Backings;
  readonly #session: Session;
  readonly #open = new Handles<OpenFile>();
  /** Opens of a node that go through the kernel's page cache; it refuses to mix them with passthrough. */
  readonly #cachedOpens = new Map<Node, number>();

  constructor(session: Session) {
    this.#session = session;
    this.backings = new Backings(session, (node) => this.#settle(node));
  }

  get(request: Request): OpenFile {
    return this.#open.get(u64(request, 40)) ?? refuse(errno.EBADF);
  }

  isCached(node: Node): boolean {
    return this.#cachedOpens.has(node);
  }

  opened(request: Request, file: OpenFile): void {
    this.#add(OUT_HEADER, file);
    this.#session.send(request.unique, OPENED_BYTES);
  }

  /** The reply to CREATE, whose entry stands in it already. */
  created(request: Request, file: OpenFile): void {
    this.#add(OUT_HEADER + ENTRY_BYTES, file);
    this.#session.send(request.unique, ENTRY_BYTES + OPENED_BYTES);
  }

  /** Replies, and answers what there was; undefined for one that this session does not know. */
  release(request: Request): OpenFile | undefined {
    const file = this.#open.remove(u64(request, 40));
    this.#session.send(request.unique, 0);
    if (!file) return undefined;
    const { node, reads, isDirect } = file;
    if (reads.from === 'kernel') this.backings.release(node);
    else if (!isDirect) this.#countCached(node, -1);
    if (reads.from === 'local') closeQuietly(reads.fd);
    this.#session.live.left(node, reads.from === 'live');
    if (reads.from === 'main') this.#session.post({ close: reads.handle });
    this.#settle(node);
    return file;
  }

  #add(at: number, file: OpenFile): void {
    const { node, reads, isWriter = false, isDirect = false } = file;
    const handle = this.#open.add(file);
    // What is written through a store, or under a quota, is to be known to be there, or not, when it is closed.
    const isLimited = (this.#session.live.get(node)?.sizeMax ?? Infinity) < Infinity;
    const flush = isWriter && (node.syncIntervalMs !== undefined || isLimited) ? 0 : Fopen.NOFLUSH;
    if (reads.from === 'live') this.#session.live.joined(node);
    if (reads.from === 'kernel') {
      return this.#session.reply.opened(at, handle, Fopen.PASSTHROUGH | flush, reads.backing);
    }
    if (isDirect) return this.#session.reply.opened(at, handle, Fopen.DIRECT_IO | flush);
    this.#countCached(node, 1);
    // The pages of a node are changed by who writes through it: another content is another node.
    this.#session.reply.opened(at, handle, Fopen.KEEP_CACHE | flush);
  }

  #countCached(node: Node, by: 1 | -1): void {
    const count = (this.#cachedOpens.get(node) ?? 0) + by;
    if (count > 0) this.#cachedOpens.set(node, count);
    else this.#cachedOpens.delete(node);
  }

  /** What was said of a node is kept while it is open, or the kernel keeps its file for the next open. */
  #settle(node: Node): void {
    const isInUse = this.#cachedOpens.has(node) || this.backings.has(node) || this.#session.live.get(node);
    if (!isInUse && this.#session.rows?.isWhole) node.attributes = undefined;
  }
}
