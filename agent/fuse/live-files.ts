import { closeSync, constants, existsSync, fstatSync, openSync } from 'node:fs';
import type { InodeId } from '#shared/model/ids.ts';
import type { HotAttributes } from '#shared/model/row-codec.ts';
import { isStamp } from '../cache/sealed.ts';
import { isSame, type Settled } from '../dirty/dirty-file.ts';
import { dirtyPath, mapPath } from '../dirty/dirty-paths.ts';
import { BaseBlocks } from '../dirty/base-blocks.ts';
import { timespecOf } from '../dirty/local-calls.ts';
import type { Node, Nodes } from './nodes.ts';
import type { WrittenHere } from './questions.ts';

const PRIVATE = 0o600;
const NANOS_PER_MS = 1_000_000n;

/** A file that is written through this mount: the local file says what its row does not yet. */
export interface LiveFile {
  readonly node: Node;
  fd: number;
  /** Of the local file, by which one is told from another. */
  localInode: bigint;
  /** Undefined: the whole file is here. */
  base: BaseBlocks | undefined;
  /** So large it may become. */
  readonly sizeMax: number;
  /** Of its growth the main thread knows up to here. */
  toldTo: number;
  /** Blocks are being brought, or given up: who changes the file waits for that. */
  waiting: (() => void)[] | undefined;
  writers: number;
  /** Who has it open by way of us. */
  opens: number;
  /** What its last close has brought to its store. */
  stored: Settled | undefined;
  /** Its row says all that there is to say; only readers that began before hold on to it. */
  isSettled: boolean;
}

export interface LiveMeans {
  readonly nodes: () => Nodes;
  /** Somebody has it open by way of us who did not open the file that is written. */
  readonly isHeld: (node: Node) => boolean;
  /** Its content lies in this local file from now on. */
  readonly onBegun: (live: LiveFile) => void;
  /** What is said of the node is said by its row again. */
  readonly onSettled: (node: Node) => void;
}

export class LiveFiles {
  readonly #dir: string;
  readonly #means: LiveMeans;
  readonly #files = new Map<InodeId, LiveFile>();

  constructor(dir: string, means: LiveMeans) {
    this.#dir = dir;
    this.#means = means;
  }

  get(node: Node): LiveFile | undefined {
    return this.#files.size === 0 ? undefined : this.#files.get(node.inodeId);
  }

  /** One writer more, as the main thread knows already, who has told what there is to know. */
  begin(node: Node, { base, sizeMax }: Partial<WrittenHere>): LiveFile {
    const before = this.#files.get(node.inodeId);
    if (before && !before.isSettled) {
      before.writers++;
      return before;
    }
    if (before) closeLive(before);
    const live = {
      node,
      ...this.#opened(node, base),
      sizeMax: sizeMax ?? Number.POSITIVE_INFINITY,
      toldTo: 0,
      waiting: undefined,
      writers: 1,
      opens: before?.opens ?? 0,
      stored: undefined,
      isSettled: false,
    };
    this.#files.set(node.inodeId, live);
    this.#means.nodes().pin(node);
    this.#means.onBegun(live);
    return live;
  }

  /** What was here of it is given up: it lies in another local file now. */
  rebased(live: LiveFile, base: SharedArrayBuffer): void {
    if (this.#files.get(live.node.inodeId) !== live || live.isSettled) return;
    closeLive(live);
    Object.assign(live, this.#opened(live.node, base));
    this.#means.onBegun(live);
  }

  /** It was written when a process before served the mount, and is under way yet. */
  restore(node: Node, here: WrittenHere, writers: number): void {
    this.begin(node, here).writers = writers;
  }

  /**
   * One writer less. If all of it is in its store, others may write it from here on, whenever the main thread gets to say that it is
   * settled; and what they write must not be taken for what was written here.
   */
  released(node: Node): void {
    const live = this.get(node);
    if (!live) return;
    live.writers--;
    const stored = asStored(live);
    if (stored) this.settled(stored, false);
  }

  settled({ id, generation, stamp }: Settled, isDirty = existsSync(dirtyPath(this.#dir, id))): void {
    const live = this.#files.get(id);
    if (!live || live.writers > 0 || live.isSettled) return;
    const { node } = live;
    // Where rows cannot be read from here, this is all that is known of the file.
    const known = node.attributes && this.shown(node, node.attributes);
    if (known) {
      const { seconds, nanos } = timespecOf(stamp.mtime);
      const times = { mtimeSeconds: seconds, mtimeNanos: nanos };
      node.attributes = { ...known, ...times, size: stamp.size, isDirty, generation: generation ?? known.generation };
    }
    this.#means.nodes().unpin(id, generation);
    live.isSettled = true;
    this.#closeUnused(id, live);
    this.#means.onSettled(node);
  }

  joined(node: Node): void {
    const live = this.#files.get(node.inodeId);
    if (live) live.opens++;
  }

  /** Of who has it open by way of us one has gone. */
  left(node: Node, didJoin: boolean): void {
    const live = this.#files.get(node.inodeId);
    if (!live) return;
    if (didJoin) live.opens--;
    this.#closeUnused(node.inodeId, live);
  }

  /** What `stat` shows: of a file that is written here, how it is now. */
  shown(node: Node, attributes: HotAttributes): HotAttributes {
    const live = this.get(node);
    if (!live || live.isSettled) return attributes;
    const stat = fstatSync(live.fd, { bigint: true });
    // The cache has got it back and stamped it, of which we are about to be told: its row says all there is to say.
    if (isStamp(Number(stat.mtimeNs / NANOS_PER_MS))) return attributes;
    const ctime = timespecOf(stat.ctimeNs);
    const isLater =
      ctime.seconds > attributes.ctimeSeconds ||
      (ctime.seconds === attributes.ctimeSeconds && ctime.nanos > attributes.ctimeNanos);
    const mtime = timespecOf(stat.mtimeNs);
    return {
      ...attributes,
      size: Number(stat.size),
      mtimeSeconds: mtime.seconds,
      mtimeNanos: mtime.nanos,
      ...(isLater && { ctimeSeconds: ctime.seconds, ctimeNanos: ctime.nanos }),
    };
  }

  #opened({ inodeId }: Node, base: SharedArrayBuffer | undefined): Pick<LiveFile, 'fd' | 'localInode' | 'base'> {
    const fd = openSync(dirtyPath(this.#dir, inodeId), constants.O_RDWR | constants.O_CREAT, PRIVATE);
    const localInode = fstatSync(fd, { bigint: true }).ino;
    return { fd, localInode, base: base && new BaseBlocks(mapPath(this.#dir, inodeId), base) };
  }

  #closeUnused(id: InodeId, live: LiveFile): void {
    if (!live.isSettled || live.writers > 0 || live.opens > 0 || this.#means.isHeld(live.node)) return;
    this.#files.delete(id);
    closeLive(live);
  }
}

/** What its last close has brought to its store, unless it has been written since. */
export function asStored({ fd, stored }: LiveFile): Settled | undefined {
  if (!stored) return undefined;
  const { size, mtimeNs } = fstatSync(fd, { bigint: true });
  return isSame(stored.stamp, { size: Number(size), mtime: mtimeNs }) ? stored : undefined;
}

function closeLive({ fd, base }: LiveFile): void {
  closeSync(fd);
  base?.close();
}
