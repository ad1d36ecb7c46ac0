import { closeQuietly } from '../cache/sealed.ts';
import { Backings } from './backings.ts';
import { Handles } from './handles.ts';
import type { Node } from './nodes.ts';
import { ENTRY_BYTES, Fopen, OPENED_BYTES, OUT_HEADER } from './protocol.ts';
import { errno, refuse, type Request, textOf, type Unique, u64 } from './requests.ts';
import type { Session } from './session.ts';

/** Where the reads of an open file go: nowhere (it is empty), to a local file, to the one that is written, to the main thread, past us. */
export type Reads =
  | { readonly from: 'nothing' }
  | { readonly from: 'local'; readonly fd: number }
  | { readonly from: 'live' }
  /** By a process before: to what the node's content is now. */
  | { readonly from: 'node' }
  /** Of this content of the node. */
  | { readonly from: 'main'; readonly handle: number; readonly generation: number }
  | { readonly from: 'kernel'; readonly backing: number };

export interface OpenFile {
  readonly node: Node;
  readonly reads: Reads;
  readonly isWriter?: boolean;
  /** Past the backing file that the kernel has open of the node, because it has another content since; and past the page cache. */
  isDirect?: boolean;
  /** Its record, where a successor may go on with the session. */
  kept?: number;
}

/** The open files of the kernel, and which of its ways each of them goes: it refuses to mix some of them. */
export class OpenFiles {
  readonly backings: Backings;
  readonly #session: Session;
  readonly #open = new Handles<OpenFile>();
  /** Opens of a node that go through the kernel's page cache; it refuses to mix them with passthrough. */
  readonly #cachedOpens = new Map<Node, number>();
  /** Of those that a process before has opened, by the request that asked for it. */
  readonly #restored = new Map<string, number>();

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
    this.#add(request.unique, OUT_HEADER, file);
    this.#session.send(request.unique, OPENED_BYTES);
  }

  /** The reply to CREATE, whose entry stands in it already. */
  created(request: Request, file: OpenFile): void {
    this.#add(request.unique, OUT_HEADER + ENTRY_BYTES, file);
    this.#session.send(request.unique, ENTRY_BYTES + OPENED_BYTES);
  }

  /** Replies, and answers what there was; undefined for one that this session does not know. */
  release(request: Request): OpenFile | undefined {
    const file = this.#open.remove(u64(request, 40));
    this.#session.send(request.unique, 0);
    if (file) this.#closed(file);
    return file;
  }

  /** What a request has opened that was not answered: it comes again, and opens anew. */
  undo(unique: Unique): OpenFile | undefined {
    const handle = this.#restored.get(textOf(unique));
    const file = handle === undefined ? undefined : this.#open.remove(handle);
    if (file) this.#closed(file);
    return file;
  }

  /** As a process before has left them. */
  restore(): readonly OpenFile[] {
    const { kept, nodes } = this.#session;
    const values = [...(kept?.handles.files() ?? [])].flatMap(({ position, unique, attributes, ...each }) => {
      const node = nodes.get(each.node);
      if (!node) kept?.handles.remove(position);
      if (!node) return [];
      node.attributes ??= attributes;
      if (each.reads.from === 'kernel' || each.isDirect) this.backings.join(node);
      else this.#countCached(node, 1);
      this.#restored.set(textOf(unique), each.handle);
      return { handle: each.handle, value: { ...each, node, kept: position } };
    });
    this.#open.restore(values);
    return values.map(({ value }) => value);
  }

  /** Who opened the node while it was written reads what it has become, in a successor too. */
  settled(node: Node): void {
    const handles = this.#session.kept?.handles;
    if (!handles || !this.#cachedOpens.has(node)) return;
    for (const { node: of, kept } of this.#open.all()) {
      if (of === node && kept !== undefined) handles.attributes(kept, node.attributes);
    }
  }

  #closed({ node, reads, isDirect, kept }: OpenFile): void {
    if (reads.from === 'kernel' || isDirect) this.backings.release(node);
    else this.#countCached(node, -1);
    if (reads.from === 'local') closeQuietly(reads.fd);
    this.#session.live.left(node, reads.from === 'live');
    if (reads.from === 'main') this.#session.post({ close: reads.handle });
    if (kept !== undefined) this.#session.kept?.handles.remove(kept);
    this.#settle(node);
  }

  #add(unique: Unique, at: number, file: OpenFile): void {
    const { node, reads, isWriter = false } = file;
    // While the kernel has a backing file of a node open, it takes no open without it.
    const besides = reads.from !== 'kernel' && this.backings.isOpen(node) ? this.backings.join(node) : undefined;
    file.isDirect = besides !== undefined;
    const handle = this.#open.add(file);
    this.#keep(unique, handle, file);
    // What is written through a store, or under a quota, is to be known to be there, or not, when it is closed.
    const isLimited = (this.#session.live.get(node)?.sizeMax ?? Infinity) < Infinity;
    const flush = isWriter && (node.syncIntervalMs !== undefined || isLimited) ? 0 : Fopen.NOFLUSH;
    if (reads.from === 'live') this.#session.live.joined(node);
    if (reads.from === 'kernel') {
      return this.#session.reply.opened(at, handle, Fopen.PASSTHROUGH | flush, reads.backing);
    }
    if (besides !== undefined) {
      return this.#session.reply.opened(at, handle, Fopen.PASSTHROUGH | Fopen.DIRECT_IO | flush, besides);
    }
    this.#countCached(node, 1);
    // The pages of a node are changed by who writes through it: another content is another node.
    this.#session.reply.opened(at, handle, Fopen.KEEP_CACHE | flush);
  }

  #keep(unique: Unique, handle: number, file: OpenFile): void {
    const handles = this.#session.kept?.handles;
    if (!handles) return;
    const { node, reads, isWriter = false, isDirect = false } = file;
    const { attributes } = node;
    const read = reads.from === 'kernel' || reads.from === 'nothing' ? reads : ({ from: 'node' } as const);
    file.kept = handles.addFile({ handle, node: node.id, reads: read, isWriter, isDirect, unique, attributes });
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
