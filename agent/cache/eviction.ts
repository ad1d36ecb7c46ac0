import { invariant } from '#shared/model/faults.ts';

const SMALL = 0;
const MAIN = 1;
const FREE = 2;
const NONE = -1;

/** The share of the capacity that newcomers may fill before they push each other out. */
const SMALL_SHARE = 0.1;
const FREQUENCY_MAX = 3;
/** A newcomer with more uses than this has earned a place in the main queue. */
const PROMOTE_ABOVE = 1;
/** A search that takes longer gives up its manners: it would block the event loop. */
const LOOKS_MAX = 4096;
const FIRST_SLOTS = 64;

/**
 * Which unit has to go: S3-FIFO (Yang et al., SOSP 2023). Newcomers wait in a small queue and leave it soon unless they are
 * used again, so a scan runs through it and the main queue keeps what is hot. A ghost queue remembers who left lately; who comes
 * back is let into the main queue at once. Units are slots in parallel arrays, 18 bytes each, because there may be a million.
 */
export class EvictionQueues {
  readonly #smallTarget: number;
  #weight = new Uint32Array(FIRST_SLOTS);
  #hash = new Uint32Array(FIRST_SLOTS);
  #newer = new Int32Array(FIRST_SLOTS);
  #older = new Int32Array(FIRST_SLOTS);
  #frequency = new Uint8Array(FIRST_SLOTS);
  #queue = new Uint8Array(FIRST_SLOTS).fill(FREE);
  readonly #newest = [NONE, NONE];
  readonly #oldest = [NONE, NONE];
  readonly #length = [0, 0];
  #smallWeight = 0;
  #free = NONE;
  #used = 0;
  #ghost = new Ghosts(FIRST_SLOTS);

  constructor(capacity: number) {
    this.#smallTarget = capacity * SMALL_SHARE;
  }

  get size(): number {
    return this.#at(this.#length, SMALL) + this.#at(this.#length, MAIN);
  }

  /** `proven` units go to the main queue: they were here before a restart, and a scan after it must not push them out. */
  add(hash: number, weight: number, proven = false): number {
    const slot = this.#takeSlot();
    this.#hash[slot] = hash;
    this.#weight[slot] = 0;
    this.#frequency[slot] = 0;
    this.#push(slot, proven || this.#ghost.take(hash, this.size) ? MAIN : SMALL);
    this.resize(slot, weight);
    return slot;
  }

  weight(slot: number): number {
    return this.#at(this.#weight, slot);
  }

  resize(slot: number, weight: number): void {
    if (this.#queue[slot] === SMALL) this.#smallWeight += weight - this.weight(slot);
    this.#weight[slot] = weight;
  }

  touch(slot: number): void {
    const frequency = this.#at(this.#frequency, slot);
    if (frequency < FREQUENCY_MAX) this.#frequency[slot] = frequency + 1;
  }

  remove(slot: number): void {
    this.#unlink(slot);
    this.#queue[slot] = FREE;
    this.#newer[slot] = this.#free;
    this.#free = slot;
  }

  /** Chooses a unit that is not busy and removes it; undefined when there is none. */
  evict(isBusy: (slot: number) => boolean): number | undefined {
    const busy = [0, 0];
    for (let look = 0; look < 2 * LOOKS_MAX; look++) {
      const queue = this.#queueToShorten(busy);
      if (queue === undefined) return undefined;
      const slot = this.#at(this.#oldest, queue);
      if (isBusy(slot)) {
        busy[queue] = this.#at(busy, queue) + 1;
        this.#move(slot, queue);
      } else if (look < LOOKS_MAX && this.#staysFor(slot, queue)) {
        this.#move(slot, MAIN);
        // Behind those that are busy: to come to it again, they are met once more.
        busy[MAIN] = 0;
      } else {
        if (queue === SMALL) this.#ghost.add(this.#at(this.#hash, slot));
        this.remove(slot);
        return slot;
      }
    }
    return undefined;
  }

  #staysFor(slot: number, queue: number): boolean {
    const frequency = this.#at(this.#frequency, slot);
    if (queue === MAIN) this.#frequency[slot] = Math.max(0, frequency - 1);
    else if (frequency > PROMOTE_ABOVE) this.#frequency[slot] = 0;
    return queue === MAIN ? frequency > 0 : frequency > PROMOTE_ABOVE;
  }

  #queueToShorten(busy: readonly number[]): number | undefined {
    const usable = (queue: number) => this.#at(this.#length, queue) > this.#at(busy, queue);
    const preferred = this.#smallWeight >= this.#smallTarget ? SMALL : MAIN;
    if (usable(preferred)) return preferred;
    return usable(1 - preferred) ? 1 - preferred : undefined;
  }

  #move(slot: number, queue: number): void {
    this.#unlink(slot);
    this.#push(slot, queue);
  }

  #push(slot: number, queue: number): void {
    const second = this.#at(this.#newest, queue);
    this.#queue[slot] = queue;
    this.#older[slot] = second;
    this.#newer[slot] = NONE;
    if (second === NONE) this.#oldest[queue] = slot;
    else this.#newer[second] = slot;
    this.#newest[queue] = slot;
    this.#length[queue] = this.#at(this.#length, queue) + 1;
    if (queue === SMALL) this.#smallWeight += this.weight(slot);
  }

  #unlink(slot: number): void {
    const queue = this.#at(this.#queue, slot);
    invariant(queue !== FREE, `eviction slot ${slot} is in use`);
    const newer = this.#at(this.#newer, slot);
    const older = this.#at(this.#older, slot);
    if (newer === NONE) this.#newest[queue] = older;
    else this.#older[newer] = older;
    if (older === NONE) this.#oldest[queue] = newer;
    else this.#newer[older] = newer;
    this.#length[queue] = this.#at(this.#length, queue) - 1;
    if (queue === SMALL) this.#smallWeight -= this.weight(slot);
  }

  #takeSlot(): number {
    if (this.#free !== NONE) {
      const slot = this.#free;
      this.#free = this.#at(this.#newer, slot);
      return slot;
    }
    if (this.#used === this.#weight.length) this.#grow();
    return this.#used++;
  }

  #grow(): void {
    const slots = this.#used * 2;
    const widened = <A extends Uint8Array | Uint32Array | Int32Array>(wider: A, old: A): A => {
      wider.set(old);
      return wider;
    };
    this.#weight = widened(new Uint32Array(slots), this.#weight);
    this.#hash = widened(new Uint32Array(slots), this.#hash);
    this.#newer = widened(new Int32Array(slots), this.#newer);
    this.#older = widened(new Int32Array(slots), this.#older);
    this.#frequency = widened(new Uint8Array(slots), this.#frequency);
    this.#queue = widened(new Uint8Array(slots).fill(FREE), this.#queue);
    this.#ghost = this.#ghost.widened(slots);
  }

  #at(values: ArrayLike<number>, index: number): number {
    return values[index] ?? 0;
  }
}

/** Who left the small queue lately: a hash table in which newer overwrite older, 8 bytes each. Forgetting one is harmless. */
class Ghosts {
  readonly #hashes: Uint32Array;
  readonly #births: Uint32Array;
  #clock = 1;

  constructor(slots: number) {
    this.#hashes = new Uint32Array(slots);
    this.#births = new Uint32Array(slots);
  }

  add(hash: number): void {
    const place = hash % this.#hashes.length;
    this.#hashes[place] = hash;
    this.#births[place] = this.#clock = (this.#clock + 1) >>> 0;
  }

  /** True once for a unit that is among the last `limit` to have left. */
  take(hash: number, limit: number): boolean {
    const place = hash % this.#hashes.length;
    const birth = this.#births[place] ?? 0;
    if (birth === 0 || this.#hashes[place] !== hash) return false;
    this.#births[place] = 0;
    return (this.#clock - birth) >>> 0 <= limit;
  }

  widened(slots: number): Ghosts {
    const wider = new Ghosts(slots);
    wider.#clock = this.#clock;
    for (const [place, birth] of this.#births.entries()) {
      if (birth === 0) continue;
      const hash = this.#hashes[place] ?? 0;
      wider.#hashes[hash % slots] = hash;
      wider.#births[hash % slots] = birth;
    }
    return wider;
  }
}
