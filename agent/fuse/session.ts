import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import type { InodeId } from '#shared/model/ids.ts';
import { ABOVE_ROOT } from '#shared/model/ids.ts';
import { NAME_BYTES_MAX, type Name, type Path } from '#shared/model/names.ts';
import { attributesAt, decodeRow, type HotAttributes, idAt } from '#shared/model/row-codec.ts';
import type { Rows } from '../embedded/lmdb-rows.ts';
import { kernelAttributes, type Node, nodeIdOf, Nodes, ROOT_NODE } from './nodes.ts';
import { IN_HEADER, OUT_HEADER, Reply, REQUEST_DATA_MAX, type Timeout } from './protocol.ts';
import type { Answer, Caller, Question, ToMain } from './questions.ts';

export const errno = constants.errno;
/** Rows younger than this may still be taken back: the namespace confirms them. */
const YOUNG_MS = 10_000;

export interface SessionOptions {
  readonly fd: number;
  readonly cacheDir: string;
  readonly leaseMs: number;
  readonly wantsPassthrough: boolean;
  readonly isTraining: boolean;
  readonly root: { readonly bytes: Uint8Array };
}

/** One request of the kernel, valid until the next is read. */
export interface Request {
  readonly opcode: number;
  readonly unique: readonly [number, number];
  readonly node: number;
  readonly caller: Caller;
  readonly bytes: Buffer;
  readonly length: number;
}

/** An answer in errno form: what a handler throws to refuse. */
export class Refusal {
  readonly errno: number;
  constructor(code: number) {
    this.errno = code;
  }
}

export interface Located {
  readonly node: Node;
  readonly path: Path;
}

/** State and means of the session that all its handlers share: nodes, rows, replies, questions to the main thread. */
export class Session {
  readonly options: SessionOptions;
  readonly rows: Rows | undefined;
  readonly nodes: Nodes;
  readonly reply = new Reply(REQUEST_DATA_MAX);
  readonly timeout: Timeout;
  readonly #post: (message: ToMain) => void;
  readonly #waiting = new Map<
    number,
    { readonly unique: readonly [number, number]; readonly resume: (answer: Answer) => void }
  >();
  #questions = 0;
  /** By mount id, as the namespace has them. */
  syncIntervals: Readonly<Record<string, number>> = {};

  constructor(
    options: SessionOptions,
    rows: Rows | undefined,
    means: { post: (message: ToMain) => void; onGone: (node: Node) => void },
  ) {
    this.options = options;
    this.rows = rows;
    this.#post = means.post;
    this.timeout = { seconds: Math.floor(options.leaseMs / 1000), nanos: (options.leaseMs % 1000) * 1e6 };
    const attributes = must(attributesAt(options.root.bytes));
    const root: Node = {
      id: ROOT_NODE,
      inodeId: idAt(options.root.bytes),
      parent: ROOT_NODE,
      name: '' as Name,
      lookups: 1,
      attributes,
      syncIntervalMs: undefined,
      cachedOpens: 0,
      passthroughOpens: 0,
      backing: 0,
    };
    this.nodes = new Nodes(root, means.onGone);
  }

  post(message: ToMain): void {
    this.#post(message);
  }

  /** Asks the main thread; the worker goes on, and `resume` replies when the answer is there. */
  ask(request: Request, question: Question, resume: (answer: Answer) => void): void {
    const id = ++this.#questions;
    const { unique, caller } = request;
    this.#waiting.set(id, { unique, resume });
    this.#post({ id, unique, caller, question });
  }

  answered(id: number, answer: Answer): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    this.guarded(waiting.unique, () => waiting.resume(answer));
  }

  refused(id: number, code: number): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    this.error(waiting.unique, code);
  }

  interrupted(unique: number): void {
    for (const [id, waiting] of this.#waiting) {
      if (waiting.unique[0] + waiting.unique[1] * 2 ** 32 === unique) this.#post({ interrupt: id });
    }
  }

  guarded(unique: readonly [number, number], act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof Refusal))
        this.#post({
          log: `request failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        });
      this.error(unique, error instanceof Refusal ? error.errno : errno.EIO);
    }
  }

  error(unique: readonly [number, number], code: number): void {
    this.#send(this.reply.head(unique, 0, code));
  }

  /** The payload stands in `reply` already, behind the header. */
  send(unique: readonly [number, number], payload: number): void {
    this.#send(this.reply.head(unique, payload));
  }

  #send(length: number): void {
    try {
      writeSync(this.options.fd, this.reply.bytes, 0, length);
    } catch (error) {
      // The one who asked was killed, or the file system is unmounted: nobody waits for this.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
    }
  }

  sendEntry(unique: readonly [number, number], node: Node): void {
    this.reply.entry(OUT_HEADER, node.id, kernelAttributes(node.attributes), this.timeout);
    this.send(unique, 128);
  }

  sendAttributes(unique: readonly [number, number], attributes: HotAttributes): void {
    this.reply.attributeReply(OUT_HEADER, kernelAttributes(attributes), this.timeout);
    this.send(unique, 104);
  }

  node(request: Request): Node {
    const node = this.nodes.get(request.node);
    if (!node) throw new Refusal(errno.ESTALE);
    return node;
  }

  pathOf(node: Node): Path {
    const path = this.nodes.pathOf(node);
    if (path === undefined) throw new Refusal(errno.ESTALE);
    return path;
  }

  childPath(parent: Node, name: Name): Path {
    const path = this.nodes.childPath(parent, name);
    if (path === undefined) throw new Refusal(errno.ESTALE);
    return path;
  }

  /** Takes in what a row says: one lookup more of its node. */
  looked(parent: Node, name: Name, bytes: Uint8Array): Node {
    const attributes = must(attributesAt(bytes));
    const node = this.nodes.looked(parent, name, idAt(bytes), attributes);
    node.syncIntervalMs = parent.syncIntervalMs;
    if (attributes.isMountPoint) node.syncIntervalMs = this.#mountInterval(bytes);
    return node;
  }

  /** The row where the node was last seen, when it is still that inode; undefined where only the main thread can tell. */
  rowOf(node: Node): Uint8Array | undefined {
    const parent = this.nodes.get(node.parent);
    if (!this.rows || !parent) return undefined;
    const bytes = node.id === ROOT_NODE ? this.rows.get(ABOVE_ROOT, '') : this.rows.get(parent.inodeId, node.name);
    const attributes = bytes && attributesAt(bytes);
    if (!bytes || !attributes) return undefined;
    const generation = attributes.kind === 'directory' ? 0 : attributes.generation;
    if (node.id !== ROOT_NODE && nodeIdOf(attributes.inodeNumber, generation) !== node.id) return undefined;
    node.attributes = attributes;
    if (attributes.isMountPoint) node.syncIntervalMs = this.#mountInterval(bytes);
    else if (node.id === ROOT_NODE) node.syncIntervalMs = undefined;
    return bytes;
  }

  /** True when the rows of a directory say all there is, now. */
  isComplete(directory: Node, now: number): boolean {
    if (!this.rows || !this.rowOf(directory)) return false;
    const { syncIntervalMs, attributes } = directory;
    if (attributes.isClosing) return false;
    if (syncIntervalMs === undefined) return true;
    if (attributes.listedAt === undefined || syncIntervalMs === 0) return false;
    return syncIntervalMs < 0 || now - attributes.listedAt <= syncIntervalMs;
  }

  isSettled(attributes: HotAttributes, now: number): boolean {
    return attributes.bornAt === undefined || now - attributes.bornAt > YOUNG_MS;
  }

  childRow(directory: InodeId, name: Name): Uint8Array | undefined {
    return this.rows?.get(directory, name);
  }

  #mountInterval(bytes: Uint8Array): number | undefined {
    const row = decodeRow(bytes);
    return row.kind === 'record' || row.mount === undefined ? undefined : (this.syncIntervals[row.mount] ?? 0);
  }
}

/** The name in a request, checked: the kernel passes what the caller wrote. */
export function nameAt(request: Request, at: number): { readonly name: Name; readonly end: number } {
  const end = request.bytes.indexOf(0, at);
  const name = request.bytes.toString('latin1', at, end) as Name;
  if (name.length > NAME_BYTES_MAX) throw new Refusal(errno.ENAMETOOLONG);
  return { name, end: end + 1 };
}

export const u32 = (request: Request, at: number): number => request.bytes.readUInt32LE(at);
export const u64 = (request: Request, at: number): number =>
  request.bytes.readUInt32LE(at) + request.bytes.readUInt32LE(at + 4) * 2 ** 32;
export const FIRST_ARGUMENT = IN_HEADER;

export function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Refusal(errno.EIO);
  return value;
}
