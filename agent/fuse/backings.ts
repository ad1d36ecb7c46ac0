import { fstatSync } from 'node:fs';
import type { KeptBacking } from './kept-nodes.ts';
import type { Node } from './nodes.ts';
import { Ioctl } from './protocol.ts';
import type { Session } from './session.ts';
import { ioctl } from './syscalls.ts';

const KEPT_MAX = 32_768;
/** For a successor: the backing is stale. */
const NO_INODE = 0n;

interface Backing {
  /** The kernel's number for it. */
  readonly id: number;
  /** Of the local file, by which one is told from another. */
  readonly localInode: bigint;
  opens: number;
  /** To be dropped by its last user: its file has lost its name, and takes up room of the disk until then. */
  isDoomed: boolean;
  /** The node's content lies in another local file by now: who opens it anew must not get this one. */
  isStale: boolean;
}

/** Files of the cache that the kernel reads by itself, without asking us: passthrough. It keeps them for the next open. */
export class Backings {
  readonly #session: Session;
  readonly #onDropped: (node: Node) => void;
  /** The least recently opened first. */
  readonly #byNode = new Map<Node, Backing>();
  #isRefused: boolean;

  constructor(session: Session, onDropped: (node: Node) => void) {
    this.#session = session;
    this.#onDropped = onDropped;
    this.#isRefused = !session.options.wantsPassthrough;
  }

  has(node: Node): boolean {
    return this.#byNode.has(node);
  }

  /** The content of the node lies in this local file from now on. */
  liesIn(node: Node, localInode: bigint): void {
    const backing = this.#byNode.get(node);
    if (!backing || backing.localInode === localInode) return;
    backing.isStale = true;
    this.#session.kept?.nodes.backing(node, { id: backing.id, localInode: NO_INODE });
    this.drop(node);
  }

  isOpen(node: Node): boolean {
    return (this.#byNode.get(node)?.opens ?? 0) > 0;
  }

  /** Counts one open more of a backing that the kernel has, if it is of what the node is now. */
  take(node: Node): number | undefined {
    const backing = this.#byNode.get(node);
    if (!backing || backing.isStale) return undefined;
    if (this.#byNode.size > KEPT_MAX / 2) {
      // Which was opened last only matters where some have to go soon.
      this.#byNode.delete(node);
      this.#byNode.set(node, backing);
    }
    return this.join(node);
  }

  /**
   * Gives the kernel a file, which may be closed here afterwards, and counts its first open. It takes no other one beside one that
   * is open.
   */
  make(node: Node, fd: number): number | undefined {
    if (this.#isRefused || this.#byNode.has(node)) return undefined;
    const argument = Buffer.alloc(16);
    argument.writeInt32LE(fd, 0);
    try {
      const id = ioctl(this.#session.options.fd, Ioctl.BACKING_OPEN, argument);
      const { ino } = fstatSync(fd, { bigint: true });
      const backing = { id, localInode: ino, opens: 0, isDoomed: false, isStale: false };
      this.#byNode.set(node, backing);
      this.#count(node, backing, 1);
      this.#session.kept?.nodes.backing(node, { id, localInode: ino });
      return id;
    } catch (error) {
      this.#isRefused = true;
      this.#session.post({ log: `the kernel takes no backing files (${String(error)}); reads go through the agent` });
      return undefined;
    }
  }

  /** One that the kernel has got from a process before. */
  restore(node: Node, backing: KeptBacking): void {
    const isStale = backing.localInode === NO_INODE;
    this.#byNode.set(node, { ...backing, opens: 0, isDoomed: isStale, isStale });
  }

  /** Counts one open more of a backing that the kernel has, whatever the node is now. */
  join(node: Node): number | undefined {
    const backing = this.#byNode.get(node);
    if (!backing) return undefined;
    this.#count(node, backing, 1);
    return backing.id;
  }

  release(node: Node): void {
    const backing = this.#byNode.get(node);
    if (!backing) return;
    this.#count(node, backing, -1);
    if (backing.isDoomed) this.drop(node);
    for (const kept of this.#byNode.keys()) {
      if (this.#byNode.size <= KEPT_MAX) return;
      this.drop(kept);
    }
  }

  /** The cache keeps what is open: to remove it would free nothing, and who has it open would miss what is written to it after. */
  #count(node: Node, backing: Backing, by: 1 | -1): void {
    backing.opens += by;
    if (backing.opens === (by > 0 ? 1 : 0)) this.#session.counters.held(node.inodeId, by);
  }

  /** One that is open stays until it is closed: another open must get the same one. */
  drop(node: Node): void {
    const backing = this.#byNode.get(node);
    if (!backing) return;
    backing.isDoomed = true;
    if (backing.opens > 0) return;
    this.#byNode.delete(node);
    this.#session.kept?.nodes.backing(node, undefined);
    this.#onDropped(node);
    const argument = Buffer.alloc(4);
    argument.writeUInt32LE(backing.id);
    try {
      ioctl(this.#session.options.fd, Ioctl.BACKING_CLOSE, argument);
    } catch {
      // Unmounted: the kernel has dropped it already.
    }
  }
}
