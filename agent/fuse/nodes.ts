import { type InodeId, inodeNumber, ROOT } from '#shared/model/ids.ts';
import { joinPath, type Name, type Path, ROOT_PATH } from '#shared/model/names.ts';
import type { HotAttributes } from '#shared/model/row-codec.ts';
import type { Attributes } from './protocol.ts';

export const ROOT_NODE = 1;
const GENERATIONS = 4096;
const GENERATION_FACTOR = 2 ** 40;
const TYPE_BITS = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;

/**
 * A node id says which content of which inode: another content has another node, so that the kernel never mixes their pages or
 * their backing files. It is computed, so the main thread can name a node, and a restarted agent names it the same.
 */
export function nodeIdOf(inode: number, generation: number): number {
  return (generation % GENERATIONS) * GENERATION_FACTOR + inode;
}

export const nodeIdOfDirectory = (id: InodeId): number => (id === ROOT ? ROOT_NODE : nodeIdOf(inodeNumber(id), 0));

/** What the kernel knows of one content: where it is, and what was last said of it. */
export interface Node {
  readonly id: number;
  readonly inodeId: InodeId;
  parent: number;
  name: Name;
  lookups: number;
  attributes: HotAttributes;
  /** Of a directory in a store: its mount's sync interval. */
  syncIntervalMs: number | undefined;
  /** Opens that read through the kernel's page cache; it refuses to mix them with passthrough. */
  cachedOpens: number;
  passthroughOpens: number;
  /** The kernel's id of the backing file, kept between opens. */
  backing: number;
}

export function kernelAttributes(a: HotAttributes): Attributes {
  return {
    inodeNumber: a.inodeNumber,
    mode: TYPE_BITS[a.kind] | a.mode,
    links: 1, // also of directories, as on btrfs: nobody counts subdirectories
    uid: a.uid,
    gid: a.gid,
    size: a.size,
    atimeSeconds: a.atimeSeconds,
    atimeNanos: a.atimeNanos,
    mtimeSeconds: a.mtimeSeconds,
    mtimeNanos: a.mtimeNanos,
    ctimeSeconds: a.ctimeSeconds,
    ctimeNanos: a.ctimeNanos,
  };
}

/** Exactly the nodes that the kernel holds: its lookups count them in, its forgets count them out. */
export class Nodes {
  readonly #byId = new Map<number, Node>();
  readonly #onGone: (node: Node) => void;

  constructor(root: Node, onGone: (node: Node) => void) {
    this.#byId.set(ROOT_NODE, root);
    this.#onGone = onGone;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: number): Node | undefined {
    return this.#byId.get(id);
  }

  /** One more lookup of what lies at a place; answers its node, new or known. */
  looked(parent: Node, name: Name, inodeId: InodeId, attributes: HotAttributes): Node {
    const id = nodeIdOf(attributes.inodeNumber, attributes.kind === 'directory' ? 0 : attributes.generation);
    const known = this.#byId.get(id);
    if (known) {
      known.parent = parent.id;
      known.name = name;
      known.attributes = attributes;
      known.lookups++;
      return known;
    }
    const node: Node = {
      id,
      inodeId,
      parent: parent.id,
      name,
      lookups: 1,
      attributes,
      syncIntervalMs: parent.syncIntervalMs,
      cachedOpens: 0,
      passthroughOpens: 0,
      backing: 0,
    };
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

  /** Undefined when an ancestor is not known any more. */
  pathOf(node: Node): Path | undefined {
    const names: Name[] = [];
    for (let at: Node | undefined = node; at?.id !== ROOT_NODE; at = this.#byId.get(at.parent)) {
      if (!at) return undefined;
      names.unshift(at.name);
    }
    return `/${names.join('/')}` as Path;
  }

  childPath(parent: Node, name: Name): Path | undefined {
    const path = this.pathOf(parent);
    return path === undefined ? undefined : path === ROOT_PATH ? (`/${name}` as Path) : joinPath(path, name);
  }
}
