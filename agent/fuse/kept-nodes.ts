import type { InodeId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { Node, ROOT_NODE } from './nodes.ts';
import type { SessionMemory } from './session-memory.ts';

const KIND = 1;
const STAMP = 4;
const ID = 8;
const PARENT = 16;
const GENERATION = 24;
const LOOKUPS = 28;
const SYNC_INTERVAL = 32;
const BACKING = 40;
const FLAGS = 44;
const ID_LENGTH = 45;
const NAME_LENGTH = 46;
const LOCAL_INODE = 48;
const TEXTS = 56;
const PINNED = 1;

/** A file that the kernel reads by itself: its number for it, and the local file's. */
export interface KeptBacking {
  readonly id: number;
  readonly localInode: bigint;
}

/** A node as a process before has left it. */
export interface KeptNode {
  readonly node: Node;
  readonly isPinned: boolean;
  readonly backing: KeptBacking | undefined;
}

/**
 * The kernel's nodes, for the successor of this process: each is a record that says all that is needed to go on with it. The
 * root has none, nor a node that the kernel has forgotten.
 */
export class KeptNodes {
  readonly #memory: SessionMemory;
  #stamp = 0;

  constructor(memory: SessionMemory) {
    this.#memory = memory;
  }

  add(node: Node): void {
    node.kept = this.#write(node, this.#memory.add(TEXTS + node.inodeId.length + node.name.length));
  }

  /** It has another place, and the same record or another. The new one is whole before the old one goes. */
  moved(node: Node): void {
    const before = node.kept;
    if (before < 0) return;
    const { backing } = this.#read(before);
    this.add(node);
    if (backing) this.backing(node, backing);
    this.#memory.remove(before);
  }

  gone(node: Node): void {
    this.#memory.remove(node.kept);
    node.kept = -1;
  }

  lookups(node: Node): void {
    if (node.kept < 0) return;
    const { view, at } = this.#memory.slot(node.kept);
    view.setUint32(at + LOOKUPS, node.lookups, true);
  }

  generation(node: Node): void {
    if (node.kept < 0) return;
    const { view, at } = this.#memory.slot(node.kept);
    view.setUint32(at + GENERATION, node.generation, true);
  }

  syncInterval(node: Node): void {
    if (node.kept < 0) return;
    const { view, at } = this.#memory.slot(node.kept);
    view.setFloat64(at + SYNC_INTERVAL, node.syncIntervalMs ?? Number.NaN, true);
  }

  pinned(node: Node): void {
    if (node.kept < 0) return;
    const { view, at } = this.#memory.slot(node.kept);
    view.setUint8(at + FLAGS, node.isPinned ? PINNED : 0);
  }

  /** Undefined: none any more. */
  backing(node: Node, backing: KeptBacking | undefined): void {
    if (node.kept < 0) return;
    const { view, at } = this.#memory.slot(node.kept);
    view.setBigUint64(at + LOCAL_INODE, backing?.localInode ?? 0n, true);
    view.setUint32(at + BACKING, backing?.id ?? 0, true);
  }

  /** Of the nodes that were written when the process before ended. */
  pinnedIds(): ReadonlyMap<number, InodeId> {
    const all = [...this.#memory.all(KIND)].filter((position) => this.#isPinned(position));
    return new Map(all.map((position) => this.#read(position)).map(({ node }) => [node.id, node.inodeId]));
  }

  #isPinned(position: number): boolean {
    const { view, at } = this.#memory.slot(position);
    return (view.getUint8(at + FLAGS) & PINNED) !== 0;
  }

  /** What a process before has left: without those nodes whose directory is not known any more. */
  load(root: Node): KeptNode[] {
    const found = new Map<number, KeptNode & { readonly stamp: number; readonly parent: number }>();
    for (const position of this.#memory.all(KIND)) {
      const record = this.#read(position);
      this.#stamp = Math.max(this.#stamp, record.stamp);
      const other = found.get(record.node.id);
      // The process ended between two records of one node.
      if (other) this.#memory.remove(other.stamp < record.stamp ? other.node.kept : position);
      if (!other || other.stamp < record.stamp) found.set(record.node.id, record);
    }
    for (const [id, { node, parent }] of found) {
      node.parent = parent === ROOT_NODE ? root : found.get(parent)?.node;
      if (node.parent) continue;
      found.delete(id);
      this.gone(node);
    }
    return [...found.values()];
  }

  #write(node: Node, position: number): number {
    const { view, bytes, at } = this.#memory.slot(position);
    const { inodeId, name } = node;
    view.setUint32(at + STAMP, ++this.#stamp, true);
    view.setFloat64(at + ID, node.id, true);
    view.setFloat64(at + PARENT, node.parent?.id ?? 0, true);
    view.setUint32(at + GENERATION, node.generation, true);
    view.setUint32(at + LOOKUPS, node.lookups, true);
    view.setFloat64(at + SYNC_INTERVAL, node.syncIntervalMs ?? Number.NaN, true);
    view.setUint32(at + BACKING, 0, true);
    view.setUint8(at + FLAGS, node.isPinned ? PINNED : 0);
    view.setUint8(at + ID_LENGTH, inodeId.length);
    view.setUint16(at + NAME_LENGTH, name.length, true);
    bytes.write(inodeId, at + TEXTS, 'latin1');
    bytes.write(name, at + TEXTS + inodeId.length, 'latin1');
    view.setUint32(at, KIND, true);
    return position;
  }

  #read(position: number): KeptNode & { readonly stamp: number; readonly parent: number } {
    const { view, bytes, at } = this.#memory.slot(position);
    const idEnd = at + TEXTS + view.getUint8(at + ID_LENGTH);
    const inodeId = bytes.toString('latin1', at + TEXTS, idEnd) as InodeId;
    const name = bytes.toString('latin1', idEnd, idEnd + view.getUint16(at + NAME_LENGTH, true)) as Name;
    const generation = view.getUint32(at + GENERATION, true);
    const node = new Node(view.getFloat64(at + ID, true), { inodeId, generation }, undefined, name);
    const interval = view.getFloat64(at + SYNC_INTERVAL, true);
    if (!Number.isNaN(interval)) node.syncIntervalMs = interval;
    node.lookups = view.getUint32(at + LOOKUPS, true);
    node.kept = position;
    const backing = view.getUint32(at + BACKING, true);
    return {
      node,
      stamp: view.getUint32(at + STAMP, true),
      parent: view.getFloat64(at + PARENT, true),
      isPinned: this.#isPinned(position),
      backing: backing === 0 ? undefined : { id: backing, localInode: view.getBigUint64(at + LOCAL_INODE, true) },
    };
  }
}
