import type { InodeId } from '#shared/model/ids.ts';
import { type Name, type Path, PATH_BYTES_MAX } from '#shared/model/names.ts';
import type { HotAttributes } from '#shared/model/row-codec.ts';

export const ROOT_NODE = 1;
/** A path has no more names than that: each is a byte and a slash at least. */
const DEPTH_MAX = PATH_BYTES_MAX / 2;
const GENERATIONS = 4096;
const GENERATION_FACTOR = 2 ** 40;

/**
 * A node id says which content of which inode: another content has another node, so that the kernel never mixes their pages or
 * their backing files. It is computed, so the main thread can name a node, and a restarted agent names it the same.
 */
export function nodeIdOf(inode: number, generation: number): number {
  return (generation % GENERATIONS) * GENERATION_FACTOR + inode;
}

export function nodeIdOfAttributes({ kind, inodeNumber: inode, generation }: HotAttributes): number {
  return nodeIdOf(inode, kind === 'directory' ? 0 : generation);
}

/** What the kernel knows of one content. There are as many as it has files in mind, so a node is kept small. */
export class Node {
  readonly id: number;
  inodeId: InodeId;
  parent: Node | undefined;
  name: Name;
  lookups = 1;
  /** Of what lies in a store: its mount's sync interval. */
  syncIntervalMs: number | undefined;
  /** Of a directory: the rows were all there is when so many commits had been made; -1: not known to be. */
  completeAt = -1;
  /** What was last said of it, kept where the rows cannot say it again: see `Session.attributesOf`. */
  attributes: HotAttributes | undefined;

  constructor(id: number, inodeId: InodeId, parent: Node | undefined, name: Name) {
    this.id = id;
    this.inodeId = inodeId;
    this.parent = parent;
    this.name = name;
    this.syncIntervalMs = parent?.syncIntervalMs;
  }
}

/** Exactly the nodes that the kernel holds: its lookups count them in, its forgets count them out. */
export class Nodes {
  readonly #byId = new Map<number, Node>();
  readonly #onGone: (node: Node) => void;

  constructor(root: Node, onGone: (node: Node) => void) {
    this.#byId.set(root.id, root);
    this.#onGone = onGone;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: number): Node | undefined {
    return this.#byId.get(id);
  }

  /** One more lookup of what lies at a place; answers its node, new or known. */
  looked(parent: Node, name: Name, { id, inodeId }: { readonly id: number; readonly inodeId: InodeId }): Node {
    const known = this.#byId.get(id);
    if (known) {
      known.parent = parent;
      known.name = name;
      known.lookups++;
      return known;
    }
    const node = new Node(id, inodeId, parent, name);
    this.#byId.set(id, node);
    return node;
  }

  forget(id: number, lookups: number): void {
    const node = this.#byId.get(id);
    if (!node || id === ROOT_NODE) return;
    node.lookups -= lookups;
    if (node.lookups > 0) return;
    this.#byId.delete(id);
    this.#onGone(node);
  }
}

/** Where a node was last seen; undefined when that makes no sense any more, as when others have moved what lies above it. */
export function pathOf(node: Node): Path | undefined {
  const names: Name[] = [];
  for (let at = node; at.parent; at = at.parent) {
    if (names.push(at.name) > DEPTH_MAX) return undefined;
  }
  return `/${names.toReversed().join('/')}` as Path;
}
