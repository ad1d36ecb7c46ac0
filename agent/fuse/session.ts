import { writeSync } from 'node:fs';
import { ABOVE_ROOT, type InodeId } from '#shared/model/ids.ts';
import type { Name, Path } from '#shared/model/names.ts';
import { attributesAt, decodeRow, type HotAttributes, idAt } from '#shared/model/row-codec.ts';
import type { Rows } from '../embedded/lmdb-rows.ts';
import { ChangedDirectories } from './changed-directories.ts';
import type { Counters } from './counters.ts';
import { KeptHandles } from './kept-handles.ts';
import { KeptNodes } from './kept-nodes.ts';
import { LiveFiles, type LiveMeans } from './live-files.ts';
import { contentOf, Node, Nodes, pathOf, ROOT_NODE } from './nodes.ts';
import { OtherNames } from './other-names.ts';
import { ATTR_REPLY_BYTES, ENTRY_BYTES, OUT_HEADER, Reply, REQUEST_DATA_MAX } from './protocol.ts';
import type { Answer, Question, SyncIntervals, ToMain } from './questions.ts';
import { errno, must, Refusal, refuse, type Request, type Unique, stepTo } from './requests.ts';
import { SessionMemory } from './session-memory.ts';
import type { SessionOptions } from './session-options.ts';
import { Timeouts } from './timeouts.ts';

/** Rows younger than this may still be taken back: the namespace confirms them. */
const YOUNG_MS = 10_000;

interface SessionMeans extends Omit<LiveMeans, 'nodes'> {
  readonly counters: Counters;
  readonly post: (message: ToMain) => void;
  /** The kernel has forgotten a node. */
  readonly onGone: (node: Node) => void;
}

interface Waiting {
  readonly unique: Unique;
  readonly resume: (answer: Answer) => void;
  readonly refused: ((code: number) => void) | undefined;
}

/** A row, and what stands in its head. */
export interface SeenRow {
  readonly row: Uint8Array;
  readonly attributes: HotAttributes;
}

/** What was found at a name, and how long that may be believed; absent: as long as the lease is. */
interface FoundEntry {
  readonly name: Name;
  readonly row: Uint8Array;
  readonly leftMs?: number;
}

/** State and means of the session that all its handlers share: nodes, rows, replies, questions to the main thread. */
export class Session {
  readonly options: SessionOptions;
  readonly rows: Rows | undefined;
  readonly nodes: Nodes;
  /** For a successor. */
  readonly kept: { readonly nodes: KeptNodes; readonly handles: KeptHandles } | undefined;
  readonly live: LiveFiles;
  readonly counters: Counters;
  readonly otherNames = new OtherNames(() => this.nodes);
  readonly changes = new ChangedDirectories();
  readonly reply = new Reply(REQUEST_DATA_MAX);
  readonly timeouts: Timeouts;
  readonly #means: SessionMeans;
  readonly #waiting = new Map<number, Waiting>();
  #questions = 0;
  #commits = 0;
  /** Of the rows, taken since the event loop has last had a turn. */
  snapshots = 0;
  #syncIntervals: SyncIntervals = { byMount: {}, root: undefined };

  constructor(options: SessionOptions, rows: Rows | undefined, means: SessionMeans) {
    this.options = options;
    this.rows = rows;
    this.#means = means;
    this.counters = means.counters;
    this.reply.isEachCloseTold = options.sharesLocks;
    this.timeouts = new Timeouts(options.leaseMs);
    const { bytes } = options.root;
    const attributes = must(attributesAt(bytes));
    const root = new Node(ROOT_NODE, contentOf(bytes, attributes), undefined, '' as Name);
    root.attributes = attributes;
    const memory = options.memory === undefined ? undefined : new SessionMemory(options.memory);
    this.kept = memory && { nodes: new KeptNodes(memory), handles: new KeptHandles(memory) };
    const gone = (node: Node) => (this.otherNames.forget(node), means.onGone(node));
    this.nodes = new Nodes(root, gone, this.kept?.nodes);
    this.live = new LiveFiles(options.dirtyDir, { ...means, nodes: () => this.nodes });
  }

  /** As the namespace has them. */
  set syncIntervals(intervals: SyncIntervals) {
    this.#syncIntervals = intervals;
    this.nodes.root.syncIntervalMs = intervals.root;
  }

  post(message: ToMain): void {
    this.#means.post(message);
  }

  /** Before each request: what has been committed shows from now on. */
  refresh(): void {
    const { commits } = this.counters;
    if (commits === this.#commits) return;
    this.#commits = commits;
    this.snapshots++;
    this.rows?.refresh();
  }

  /** Asks the main thread; the worker goes on, and `resume` or `refused` replies when the answer is there. */
  ask(request: Request, question: Question, resume: Waiting['resume'], refused?: Waiting['refused']): void {
    const id = ++this.#questions;
    const { unique, caller } = request;
    this.#waiting.set(id, { unique, resume, refused });
    this.post({ id, unique, caller, question });
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
    if (waiting.refused) this.guarded(waiting.unique, () => waiting.refused?.(code));
    else this.error(waiting.unique, code);
  }

  interrupted([low, high]: Unique): void {
    for (const [id, { unique }] of this.#waiting) {
      if (unique[0] === low && unique[1] === high) this.post({ interrupt: id });
    }
  }

  /** Nothing is asked of the main thread that it has not answered. */
  get isIdle(): boolean {
    return this.#waiting.size === 0;
  }

  guarded(unique: Unique, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof Refusal))
        this.post({
          log: `request failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        });
      this.error(unique, error instanceof Refusal ? error.errno : errno.EIO);
    }
  }

  error(unique: Unique, code: number): void {
    this.#send(this.reply.head(unique, 0, code));
  }

  /** The payload stands in `reply` already, behind the header. */
  send(unique: Unique, payload: number): void {
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

  /** One lookup more of what a row of this directory says; replies with it. */
  sendEntry(request: Request, parent: Node, { name, row, leftMs }: FoundEntry): void {
    this.enter(parent, name, row, leftMs);
    this.send(request.unique, ENTRY_BYTES);
  }

  /** Writes the entry into the reply. */
  enter(parent: Node, name: Name, row: Uint8Array, leftMs?: number): Node {
    const attributes = must(attributesAt(row));
    const node = this.looked(parent, name, { row, attributes });
    this.reply.entry(OUT_HEADER, node.id, this.shown(node, attributes), this.timeouts.of(node, leftMs));
    return node;
  }

  sendAttributes(unique: Unique, node: Node, attributes: HotAttributes, leftMs?: number): void {
    this.reply.attributeReply(OUT_HEADER, this.shown(node, attributes), this.timeouts.of(node, leftMs));
    this.send(unique, ATTR_REPLY_BYTES);
  }

  /** How it is now: what is written, or made, by way of this mount may not stand in the row yet. */
  shown(node: Node, attributes: HotAttributes): HotAttributes {
    if (attributes.kind === 'directory') return this.changes.shown(node.inodeId, attributes);
    return this.live.shown(node, attributes);
  }

  /**
   * How long a row may be believed that was read before, here or by the main thread. It may have been changed since, and the
   * kernel been told to forget it before we tell of it: then the rows have another by now, or none.
   */
  leftOf(directory: InodeId, name: Name, row: Uint8Array): number {
    if (!this.rows || this.rows.isWhole) return Number.POSITIVE_INFINITY;
    this.refresh();
    const now = this.childRow(directory, name);
    return now && Buffer.compare(now, row) === 0 ? this.rows.leftMs : 0;
  }

  node(request: Request): Node {
    return this.nodes.get(request.node) ?? refuse(errno.ESTALE);
  }

  pathOf(node: Node): Path {
    if (node.names.length > 0) this.rowOf(node); // puts it where it has a name yet
    return pathOf(node) ?? refuse(errno.ESTALE);
  }

  childPath(parent: Node, name: Name): Path {
    return stepTo(this.pathOf(parent), name);
  }

  /** Takes in what a row says: one lookup more of its node. */
  looked(parent: Node, name: Name, { row, attributes }: SeenRow): Node {
    const node = this.nodes.looked(parent, name, contentOf(row, attributes));
    if (!this.rows?.isWhole || node.attributes) node.attributes = attributes;
    this.nodes.syncEvery(node, attributes.isMountPoint ? this.#mountInterval(row) : parent.syncIntervalMs);
    this.otherNames.learn(node, attributes.names);
    return node;
  }

  /** The row where the node was last seen, when it is still that content; undefined where only the main thread can tell. */
  rowOf(node: Node): SeenRow | undefined {
    const row = node.parent ? this.childRow(node.parent.inodeId, node.name) : this.childRow(ABOVE_ROOT, '' as Name);
    const attributes = row && attributesAt(row);
    if (!attributes || (node.parent && !node.isOf(row, attributes))) return this.#underOtherName(node);
    this.otherNames.learn(node, attributes.names);
    if (attributes.isMountPoint) this.nodes.syncEvery(node, this.#mountInterval(row));
    else if (!node.parent) node.syncIntervalMs = undefined;
    // The root gets another inode when the store at `/` is unmounted.
    if (!node.parent) node.inodeId = idAt(row);
    return { row, attributes };
  }

  #underOtherName(node: Node): SeenRow | undefined {
    for (const each of node.names) {
      const row = this.childRow(each.directory, each.name);
      const attributes = row && attributesAt(row);
      if (!attributes || !node.isOf(row, attributes)) continue;
      this.otherNames.put(node, each);
      return { row, attributes };
    }
    return undefined;
  }

  /** What the row says now, or what was last said of a content that has been replaced or removed while it was open. */
  attributesOf(node: Node): HotAttributes | undefined {
    const attributes = this.rowOf(node)?.attributes;
    if (attributes && node.attributes) node.attributes = attributes;
    if (attributes || !node.attributes) return attributes;
    return this.rows?.isWhole && !this.#isThere(node) ? { ...node.attributes, links: 0 } : node.attributes;
  }

  /** With another content, maybe. */
  #isThere(node: Node): boolean {
    const row = node.parent && this.childRow(node.parent.inodeId, node.name);
    return row !== undefined && idAt(row) === node.inodeId;
  }

  /** Undefined where only the main thread can tell how they are now. */
  attributesNow(node: Node): HotAttributes | undefined {
    return this.rows?.isWhole ? this.attributesOf(node) : this.rowOf(node)?.attributes;
  }

  /** True when what the rows say of a name in a directory, or that there is none, is so as far as its store is concerned. */
  isComplete(directory: Node, now: number): boolean {
    if (directory.completeAt === this.#commits) return true;
    const attributes = this.rowOf(directory)?.attributes;
    if (!attributes || attributes.isClosing) return false;
    const { syncIntervalMs } = directory;
    const isForGood = syncIntervalMs === undefined || (syncIntervalMs < 0 && attributes.listedAt !== undefined);
    if (isForGood && this.rows?.isWhole) directory.completeAt = this.#commits;
    return isForGood || (attributes.listedAt !== undefined && now - attributes.listedAt < syncIntervalMs);
  }

  isSettled(attributes: HotAttributes, now: number): boolean {
    return attributes.bornAt === undefined || now - attributes.bornAt > YOUNG_MS;
  }

  childRow(directory: InodeId, name: Name): Uint8Array | undefined {
    return this.rows?.get(directory, name);
  }

  #mountInterval(bytes: Uint8Array): number | undefined {
    const row = decodeRow(bytes);
    return row.kind === 'record' || row.mount === undefined ? undefined : (this.#syncIntervals.byMount[row.mount] ?? 0);
  }
}
