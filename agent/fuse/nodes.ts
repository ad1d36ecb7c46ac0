import { type InodeId, inodeNumber, isLongId } from '#shared/model/ids.ts';
import type { HardLink } from '#shared/model/inode.ts';
import { type Name, type Path, PATH_BYTES_MAX } from '#shared/model/names.ts';
import { type HotAttributes, idAt } from '#shared/model/row-codec.ts';
import type { KeptNode, KeptNodes } from './kept-nodes.ts';

export const ROOT_NODE = 1;
/** A path has no more names than that: each is a byte and a slash at least. */
const DEPTH_MAX = PATH_BYTES_MAX / 2;
const GENERATIONS = 4096;
const GENERATION_FACTOR = 2 ** 40;
/** From here on are the nodes of inodes with long ids, and below it the others. */
const LONG_BASE = 2 ** 52;

/**
 * A node id says which content of which inode: another content has another node, so that the kernel never mixes their pages or
 * their backing files.
 */
export interface Content {
  readonly inodeId: InodeId;
  /** Of a directory 0. */
  readonly generation: number;
  /** That of the id, where it is at hand: to make it again takes a tenth of a lookup. */
  readonly number?: number;
}

export function contentOf(row: Uint8Array, attributes: HotAttributes): Content {
  return { inodeId: idAt(row), generation: generationOf(attributes), number: attributes.inodeNumber };
}

const NO_NAMES: readonly HardLink[] = [];

/** What the kernel knows of one content. There are as many as it has files in mind, so a node is kept small. */
export class Node {
  readonly id: number;
  generation: number;
  /** It is written here: whatever generation its row has meanwhile, it is this node. */
  isPinned = false;
  inodeId: InodeId;
  parent: Node | undefined;
  name: Name;
  /** Of an inode that has several: all that are known. */
  names: readonly HardLink[] = NO_NAMES;
  lookups = 1;
  /** Of what lies in a store: its mount's sync interval. */
  syncIntervalMs: number | undefined;
  /** Of a directory: the rows were all there is when so many commits had been made; -1: not known to be. */
  completeAt = -1;
  /** What was last said of it, kept where the rows cannot say it again: see `Session.attributesOf`. */
  attributes: HotAttributes | undefined;
  /** Its record, where a successor may go on with the session. */
  kept = -1;

  constructor(id: number, { inodeId, generation }: Content, parent: Node | undefined, name: Name) {
    this.id = id;
    this.generation = generation;
    this.inodeId = inodeId;
    this.parent = parent;
    this.name = name;
    this.syncIntervalMs = parent?.syncIntervalMs;
  }

  /** Whether this row is of the node's content. */
  isOf(row: Uint8Array, attributes: HotAttributes): boolean {
    const { inodeId } = this;
    if (!this.isPinned && generationOf(attributes) !== this.generation) return false;
    // Short ids are their numbers: no text has to be made of the one in the row.
    return isLongId(inodeId) ? idAt(row) === inodeId : attributes.inodeNumber === inodeNumber(inodeId);
  }
}

const generationOf = ({ kind, generation }: HotAttributes): number => (kind === 'directory' ? 0 : generation);

const nodeIdOf = (inode: number, generation: number): number => (generation % GENERATIONS) * GENERATION_FACTOR + inode;

/** Where a content's node is, unless that one was taken by another: which can happen to long ids only, and hardly ever does. */
function firstNodeId({ inodeId, generation, number = inodeNumber(inodeId) }: Content): number {
  return isLongId(inodeId) ? LONG_BASE + ((number + generation) % LONG_BASE) : nodeIdOf(number, generation);
}

const textOf = ({ inodeId, generation }: Content): string => `${inodeId}${generation}`;

/** Exactly the nodes that the kernel holds: its lookups count them in, its forgets count them out. */
export class Nodes {
  readonly root: Node;
  readonly #byId = new Map<number, Node>();
  /** Those whose number is not that of their content: it was another's when they came, or they have another content since. */
  readonly #displaced = new Map<string, Node>();
  readonly #pinned = new Map<InodeId, Node>();
  readonly #onGone: (node: Node) => void;
  readonly #kept: KeptNodes | undefined;

  constructor(root: Node, onGone: (node: Node) => void, kept?: KeptNodes) {
    this.root = root;
    this.#byId.set(root.id, root);
    this.#onGone = onGone;
    this.#kept = kept;
  }

  /** What a process before has left. */
  restore(): readonly KeptNode[] {
    const all = this.#kept?.load(this.root) ?? [];
    for (const { node } of all) {
      this.#byId.set(node.id, node);
      if (node.id !== firstNodeId(node)) this.#displaced.set(textOf(node), node);
    }
    return all;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: number): Node | undefined {
    return this.#byId.get(id);
  }

  find(content: Content): Node | undefined {
    if (content.inodeId === this.root.inodeId) return this.root;
    return this.#at(firstNodeId(content), content);
  }

  /** One more lookup of what lies at a place; answers its node, new or known. */
  looked(parent: Node, name: Name, content: Content): Node {
    const first = firstNodeId(content);
    const known = this.#at(first, content);
    if (known) {
      this.place(known, parent, name);
      known.lookups++;
      this.#kept?.lookups(known);
      return known;
    }
    let id = first;
    while (this.#byId.has(id)) id = LONG_BASE + ((id + 1) % LONG_BASE);
    const node = new Node(id, content, parent, name);
    this.#byId.set(id, node);
    if (id !== first) this.#displaced.set(textOf(content), node);
    this.#kept?.add(node);
    return node;
  }

  /** It was seen there last. */
  place(node: Node, parent: Node, name: Name): void {
    if (node.parent === parent && node.name === name) return;
    node.parent = parent;
    node.name = name;
    this.#kept?.moved(node);
  }

  syncEvery(node: Node, intervalMs: number | undefined): void {
    if (node.syncIntervalMs === intervalMs) return;
    node.syncIntervalMs = intervalMs;
    this.#kept?.syncInterval(node);
  }

  /** The inode is written here, and stays this node while it is. */
  pin(node: Node): void {
    node.isPinned = true;
    this.#pinned.set(node.inodeId, node);
    this.#kept?.pinned(node);
  }

  /** From now on it stands for this generation. */
  unpin(inodeId: InodeId, generation: number | undefined): void {
    const node = this.#pinned.get(inodeId);
    if (!node) return;
    this.#pinned.delete(inodeId);
    node.isPinned = false;
    this.#kept?.pinned(node);
    if (generation === undefined || generation === node.generation) return;
    this.#displaced.delete(textOf(node));
    node.generation = generation;
    this.#displaced.set(textOf(node), node);
    this.#kept?.generation(node);
  }

  forget(id: number, lookups: number): void {
    const node = this.#byId.get(id);
    if (!node || id === ROOT_NODE) return;
    node.lookups -= lookups;
    if (node.lookups > 0) return this.#kept?.lookups(node);
    this.#byId.delete(id);
    if (this.#displaced.size > 0 && id !== firstNodeId(node)) this.#displaced.delete(textOf(node));
    if (node.isPinned) this.#pinned.delete(node.inodeId);
    this.#onGone(node);
    this.#kept?.gone(node);
  }

  #at(first: number, content: Content): Node | undefined {
    const node = this.#byId.get(first);
    if (node && isSame(node, content)) return node;
    const pinned = this.#pinned.size > 0 ? this.#pinned.get(content.inodeId) : undefined;
    return pinned ?? (this.#displaced.size > 0 ? this.#displaced.get(textOf(content)) : undefined);
  }
}

function isSame(node: Node, { inodeId, generation }: Content): boolean {
  return node.inodeId === inodeId && (node.isPinned || node.generation === generation);
}

/** Where a node was last seen; undefined when that makes no sense any more, as when others have moved what lies above it. */
export function pathOf(node: Node): Path | undefined {
  const names: Name[] = [];
  for (let at = node; at.parent; at = at.parent) {
    if (names.push(at.name) > DEPTH_MAX) return undefined;
  }
  return `/${names.toReversed().join('/')}` as Path;
}
