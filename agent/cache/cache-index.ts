import { setImmediate as breathe } from 'node:timers/promises';
import { EvictionQueues } from './eviction.ts';
import { hashOf, partOf } from './units.ts';

/** What a file system gives out; sizes in the index are counted in it, because that is what `du` will say. */
export const BLOCK_BYTES = 4096;

const EVICTIONS_AT_ONCE = 100;

export function blocksOf(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES);
}

/** An empty file counts too: the index of what is here must have an end. */
export function wholeBlocks(bytes: number): number {
  return Math.max(1, blocksOf(bytes));
}

/** `later`: a large file is being unlinked off the event loop. `stuck`: the file system refuses, the room stays lost. */
export type Eviction = 'freed' | 'stuck' | { readonly later: Promise<void> };

export interface CacheIndexDeps {
  readonly capacityBlocks: number;
  readonly unitsMax: number;
  /** Busy units are left alone: something writes to them, or reads them in a way that cannot be repeated. */
  isBusy(unit: string): boolean;
  evict(unit: string, blocks: number): Eviction;
}

/**
 * Who is here, and how much room is left. Room is taken *before* bytes are written, so what lies on the disk never exceeds the
 * capacity, not even while many fetches are under way.
 */
export class CacheIndex {
  readonly #deps: CacheIndexDeps;
  readonly #queues: EvictionQueues;
  readonly #slots = new Map<string, number>();
  readonly #names: (string | undefined)[] = [];
  readonly #leaving = new Set<Promise<void>>();
  /** How many slices are here of each content that is partly here, and of all together. */
  readonly #slicesOf = new Map<string, number>();
  #slices = 0;
  #usedBlocks = 0;
  /** Of files beside the index, which are not to be evicted. */
  #heldBlocks = 0;
  #known: Promise<void> | undefined;

  /** Until `known` resolves nobody can say how much room there is, so none is given. */
  constructor(deps: CacheIndexDeps, known: Promise<void>) {
    this.#deps = deps;
    this.#queues = new EvictionQueues(deps.capacityBlocks);
    this.#known = known
      .then(() => this.#shrink())
      .then(() => {
        this.#known = undefined;
      });
  }

  get usedBlocks(): number {
    return this.#usedBlocks;
  }

  /** Contents that are here, wholly or in part. */
  get contents(): number {
    return this.#slots.size - this.#slices + this.#slicesOf.size;
  }

  /** True once all files have been seen: a name that is not here then is not on the disk. */
  get complete(): boolean {
    return this.#known === undefined;
  }

  has(unit: string): boolean {
    return this.#slots.has(unit);
  }

  blocks(unit: string): number {
    const slot = this.#slots.get(unit);
    return slot === undefined ? 0 : this.#queues.weight(slot);
  }

  touch(unit: string): void {
    const slot = this.#slots.get(unit);
    if (slot !== undefined) this.#queues.touch(slot);
  }

  /** Takes room for a unit, new or growing, and evicts others for it. False: there is none now; nothing was taken. */
  take(unit: string, blocks: number): boolean {
    if (this.#known || !this.#makeRoom(blocks, this.#slots.has(unit) ? 0 : 1)) return false;
    this.#usedBlocks += blocks;
    // Looked up only now: making room may have evicted the unit itself.
    const slot = this.#slots.get(unit);
    if (slot === undefined) this.#insert(unit, blocks, false);
    else this.#queues.resize(slot, this.#queues.weight(slot) + blocks);
    return true;
  }

  /** What lies beside the index has grown or shrunk: others are evicted for it as far as they can be. */
  hold(blocks: number): void {
    this.#heldBlocks += blocks;
    if (blocks > 0 && !this.#known) this.#makeRoom(0, 0);
  }

  /** Room that is left for what is not to be evicted. */
  get heldRoom(): number {
    return this.#deps.capacityBlocks - this.#heldBlocks;
  }

  get heldBlocks(): number {
    return this.#heldBlocks;
  }

  /** When room may appear without anybody asking for it; undefined when waiting is no use. */
  roomToCome(): Promise<void> | undefined {
    if (this.#known) return this.#known;
    return this.#leaving.size > 0 ? Promise.race(this.#leaving) : undefined;
  }

  /** Gives back a part of what a unit took. */
  give(unit: string, blocks: number): void {
    const slot = this.#slots.get(unit);
    if (slot === undefined) return;
    const given = Math.min(blocks, this.#queues.weight(slot));
    this.#queues.resize(slot, this.#queues.weight(slot) - given);
    this.#usedBlocks -= given;
  }

  forget(unit: string): void {
    const slot = this.#slots.get(unit);
    if (slot === undefined) return;
    this.#usedBlocks -= this.#queues.weight(slot);
    this.#queues.remove(slot);
    this.#crossOut(unit, slot);
  }

  /** Enters what was found on the disk; its room is taken already, whether there is any or not. */
  adopt(unit: string, blocks: number): void {
    if (this.#slots.has(unit)) return;
    this.#usedBlocks += blocks;
    this.#insert(unit, blocks, true);
  }

  /** The slices of a content become one unit, as young as the content is whole. */
  merge(slices: readonly string[], whole: string, blocks: number): void {
    for (const slice of slices) this.forget(slice);
    this.forget(whole);
    this.#usedBlocks += blocks;
    this.#insert(whole, blocks, false);
  }

  /** A file that was forgotten still takes its room until it is unlinked. */
  linger(blocks: number, gone: Promise<void>): void {
    this.#usedBlocks += blocks;
    this.#leave(gone, blocks);
  }

  /** Resolves when everything that is on its way out is gone. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#leaving);
  }

  #insert(unit: string, blocks: number, proven: boolean): void {
    const slot = this.#queues.add(hashOf(unit), blocks, proven);
    this.#slots.set(unit, slot);
    this.#names[slot] = unit;
    this.#countSlice(unit, 1);
  }

  #crossOut(unit: string, slot: number): void {
    this.#slots.delete(unit);
    this.#names[slot] = undefined;
    this.#countSlice(unit, -1);
  }

  #countSlice(unit: string, change: 1 | -1): void {
    const content = partOf(unit);
    if (content === undefined) return;
    const left = (this.#slicesOf.get(content) ?? 0) + change;
    if (left > 0) this.#slicesOf.set(content, left);
    else this.#slicesOf.delete(content);
    this.#slices += change;
  }

  /** The cache may have been larger before the restart; a hundred thousand files do not go in one breath. */
  async #shrink(): Promise<void> {
    for (let count = 1; this.#isOver(0, 0) && this.#evictOne(); count++) {
      if (count % EVICTIONS_AT_ONCE === 0) await breathe();
    }
    await this.settled();
  }

  #isOver(blocks: number, newUnits: number): boolean {
    const { capacityBlocks, unitsMax } = this.#deps;
    return this.#usedBlocks + this.#heldBlocks + blocks > capacityBlocks || this.#slots.size + newUnits > unitsMax;
  }

  #makeRoom(blocks: number, newUnits: number): boolean {
    if (blocks > this.#deps.capacityBlocks) return false;
    while (this.#isOver(blocks, newUnits)) {
      // What is leaving already may be room enough; evicting more for it would throw out too much.
      if (this.#leaving.size > 0 || !this.#evictOne()) return false;
    }
    return true;
  }

  #evictOne(): boolean {
    const slot = this.#queues.evict((candidate) => this.#deps.isBusy(this.#names[candidate] ?? ''));
    if (slot === undefined) return false;
    const unit = this.#names[slot] ?? '';
    const blocks = this.#queues.weight(slot);
    this.#crossOut(unit, slot);
    const eviction = this.#deps.evict(unit, blocks);
    if (eviction === 'freed') this.#usedBlocks -= blocks;
    else if (eviction !== 'stuck') this.#leave(eviction.later, blocks);
    return true;
  }

  #leave(gone: Promise<void>, blocks: number): void {
    const leaving = gone.then(() => {
      this.#usedBlocks -= blocks;
      this.#leaving.delete(leaving);
    });
    this.#leaving.add(leaving);
  }
}
