import { fstatSync } from 'node:fs';
import type { KeptBacking } from './kept-nodes.ts';
import type { Node } from './nodes.ts';
import { Ioctl } from './protocol.ts';
import type { Session } from './session.ts';
import { ioctl } from './syscalls.ts';

const KEPT_MAX = 32_768;

interface Backing {
  /** The kernel's number for it. */
  readonly id: number;
  /** Of the local file, by which one is told from another. */
  readonly localInode: bigint;
  opens: number;
  /** To be dropped by its last user: its file has lost its name, and takes up room of the disk until then. */
  isDoomed: boolean;
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

  /** `other`: the kernel reads another local file for those who have the node open. */
  of(node: Node, localInode: bigint): 'none' | 'same' | 'other' {
    const backing = this.#byNode.get(node);
    if (backing?.localInode === localInode) return 'same';
    this.drop(node);
    return this.#byNode.has(node) ? 'other' : 'none';
  }

  isOpen(node: Node): boolean {
    return (this.#byNode.get(node)?.opens ?? 0) > 0;
  }

  /** Counts one open more of a backing that the kernel has. */
  take(node: Node): number | undefined {
    const backing = this.#byNode.get(node);
    if (!backing) return undefined;
    backing.opens++;
    if (this.#byNode.size > KEPT_MAX / 2) {
      // Which was opened last only matters where some have to go soon.
      this.#byNode.delete(node);
      this.#byNode.set(node, backing);
    }
    return backing.id;
  }

  /** Gives the kernel a file, which may be closed here afterwards, and counts its first open. */
  make(node: Node, fd: number): number | undefined {
    if (this.#isRefused) return undefined;
    const argument = Buffer.alloc(16);
    argument.writeInt32LE(fd, 0);
    try {
      const id = ioctl(this.#session.options.fd, Ioctl.BACKING_OPEN, argument);
      const { ino } = fstatSync(fd, { bigint: true });
      this.#byNode.set(node, { id, localInode: ino, opens: 1, isDoomed: false });
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
    this.#byNode.set(node, { ...backing, opens: 0, isDoomed: false });
  }

  release(node: Node): void {
    const backing = this.#byNode.get(node);
    if (!backing) return;
    backing.opens--;
    if (backing.isDoomed) this.drop(node);
    for (const kept of this.#byNode.keys()) {
      if (this.#byNode.size <= KEPT_MAX) return;
      this.drop(kept);
    }
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
