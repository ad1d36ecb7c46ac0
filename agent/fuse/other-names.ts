import type { HardLink } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { ChangedRow } from './invalidation.ts';
import type { Node, Nodes } from './nodes.ts';

/**
 * Nodes of inodes that have several names. The kernel speaks of a node, the namespace of paths: a node lies where it was last
 * seen, and when that name goes it is to be found under another.
 */
export class OtherNames {
  readonly #nodes: () => Nodes;
  readonly #byPlace = new Map<string, Node>();
  readonly #places = new Map<Node, string>();

  constructor(nodes: () => Nodes) {
    this.#nodes = nodes;
  }

  /** What a row says. Of most there is nothing to say. */
  learn(node: Node, names: readonly HardLink[]): void {
    if (names.length === 0 && node.names.length === 0) return;
    node.names = names;
    this.#note(node);
  }

  /** The kernel has forgotten it. */
  forget(node: Node): void {
    const place = this.#places.get(node);
    if (place === undefined) return;
    this.#places.delete(node);
    this.#byPlace.delete(place);
  }

  /** A name has gone: what was seen under it is looked for under another one from now on. */
  parted(parent: Node, name: Name): void {
    const node = this.#byPlace.get(placeOf(parent, name));
    if (!node || node.parent !== parent || node.name !== name) return;
    node.names = node.names.filter((each) => each.directory !== parent.inodeId || each.name !== name);
    if (node.attributes) node.attributes = { ...node.attributes, names: node.names, links: node.names.length };
    const next = node.names.find((each) => this.put(node, each));
    if (!next) this.#note(node);
  }

  /** By others, who may have put a node elsewhere. */
  changed({ directory, name, before, after }: ChangedRow): void {
    const parent = this.#nodes().find({ inodeId: directory, generation: 0 });
    if (parent && before && before.inodeId !== after?.inodeId) this.parted(parent, name);
    const node = after && this.#nodes().find(after);
    if (node) this.#note(node);
  }

  /** Where it was seen it is not any more. True: there is another place to look. */
  leave(node: Node): boolean {
    const { parent, name } = node;
    if (!parent || node.names.length === 0) return false;
    this.parted(parent, name);
    return node.parent !== parent || node.name !== name;
  }

  /** False: the kernel has not seen the directory, so there is no path that we could tell. */
  put(node: Node, { directory, name }: HardLink): boolean {
    const parent = this.#nodes().find({ inodeId: directory, generation: 0 });
    if (!parent) return false;
    this.#nodes().place(node, parent, name);
    this.#note(node);
    return true;
  }

  #note(node: Node): void {
    this.forget(node);
    if (!node.parent || node.names.length === 0) return;
    const place = placeOf(node.parent, node.name);
    this.#places.set(node, place);
    this.#byPlace.set(place, node);
  }
}

const placeOf = (parent: Node, name: Name): string => `${parent.id}/${name}`;
