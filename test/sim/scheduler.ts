import { createHash } from 'node:crypto';
import { randomFrom } from '../support/yielding-metastore.ts';

const START_MS = 1_800_000_000_000;
/** How long a step takes at most, in simulated time. */
const STEP_MS_MAX = 2;
const STEPS_MAX = 40_000;
/** When nobody can do anything but wait, time now and then goes on further than to the next who wakes. */
const JUMP_RATE = 0.25;
const JUMP_MS_MAX = 4000;
const STICKY_RATE = 0.85;
const UPSETS = 4;
const UPSET_STEPS = 300;

interface Event {
  readonly strand: number;
  /** Not before. */
  readonly at: number;
  readonly what: string;
  /** It has left its sender, and happens though that dies. */
  readonly isOnWire: boolean;
  readonly happen: () => void | Promise<void>;
}

type Choice = (ready: readonly Event[], step: number) => Event | undefined;

/**
 * Who goes on, and when it is. Everything that a strand (an executor, a client) waits for is an event here; one happens, then
 * all code runs until it waits again, then the next is drawn. Time is what it says, and chance comes from its seed alone, so a
 * seed repeats a run.
 */
export class Scheduler {
  readonly random: () => number;
  readonly trace: string[] = [];
  now = START_MS;
  #events: Event[] = [];
  #step = 0;
  readonly #halted = new Map<number, () => void>();
  readonly #choose: Choice;

  constructor(seed: number) {
    this.random = randomFrom(seed);
    this.#choose = this.pick([() => this.#anyone(), () => this.#sticky(), () => this.#byRank()])();
  }

  get step(): number {
    return this.#step;
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('invariant: there is something to pick from');
    return item;
  }

  schedule(
    event: Pick<Event, 'strand' | 'what' | 'happen'> & { readonly afterMs?: number; readonly isOnWire?: boolean },
  ) {
    const { afterMs = 0, isOnWire = false, ...rest } = event;
    if (this.#halted.has(event.strand)) return;
    this.#events.push({ ...rest, at: this.now + afterMs, isOnWire });
  }

  sleep(strand: number, ms: number): Promise<void> {
    return new Promise((resolve) =>
      this.schedule({ strand, what: `woke after ${Math.ceil(ms)} ms`, happen: resolve, afterMs: ms }),
    );
  }

  /** A strand dies: it never goes on, and of what it has sent a part arrives. Resolves when that has. */
  halt(strand: number): Promise<void> {
    this.note(strand, 'dies');
    this.#events = this.#events.filter((each) => each.strand !== strand || (each.isOnWire && this.random() < 0.5));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#halted.set(strand, resolve);
    this.#bury();
    return promise;
  }

  #bury(): void {
    for (const [strand, resolve] of this.#halted) {
      if (!this.#events.some((each) => each.strand === strand)) resolve();
    }
  }

  note(strand: number, what: string): void {
    this.trace.push(`${String(this.now - START_MS).padStart(6)} ms  ${strand}  ${what}`);
  }

  hash(): string {
    return createHash('sha256').update(this.trace.join('\n')).digest('hex');
  }

  /** False: it went on for too long. */
  async run(isOver: () => boolean, beforeStep: (step: number) => void = () => {}): Promise<boolean> {
    for (; this.#step < STEPS_MAX; this.#step++) {
      beforeStep(this.#step);
      await drained();
      if (isOver()) return true;
      this.now += this.random() * STEP_MS_MAX;
      const ready = this.#ready();
      const event = this.#choose(ready, this.#step);
      if (!event) throw new Error('invariant: somebody waits for an event');
      this.#events.splice(this.#events.indexOf(event), 1);
      this.note(event.strand, event.what);
      await event.happen();
      if (this.#halted.size > 0) this.#bury();
    }
    return false;
  }

  #ready(): readonly Event[] {
    const ready = this.#events.filter(({ at }) => at <= this.now);
    if (ready.length > 0 || this.#events.length === 0) return ready;
    const jump = this.random() < JUMP_RATE ? this.random() * JUMP_MS_MAX : 0;
    this.now = Math.max(this.now, Math.min(...this.#events.map(({ at }) => at))) + jump;
    return this.#ready();
  }

  #anyone(): Choice {
    return (ready) => this.pick(ready);
  }

  /** One goes on for long. */
  #sticky(): Choice {
    let last = -1;
    return (ready) => {
      const same = ready.find(({ strand }) => strand === last);
      const next = same && this.random() < STICKY_RATE ? same : this.pick(ready);
      last = next.strand;
      return next;
    };
  }

  /** Strands go before others by rank, and a few times one falls behind: so come faults that need one to be held up for long. */
  #byRank(): Choice {
    const ranks = new Map<number, number>();
    const upsets = new Set(Array.from({ length: UPSETS }, () => this.below(UPSET_STEPS)));
    let lowest = 0;
    const rankOf = (strand: number) => {
      const rank = ranks.get(strand) ?? this.random();
      ranks.set(strand, rank);
      return rank;
    };
    return (ready, step) => {
      const [first, ...others] = ready;
      if (!first) return undefined;
      const next = others.reduce((best, each) => (rankOf(each.strand) > rankOf(best.strand) ? each : best), first);
      if (upsets.has(step)) ranks.set(next.strand, --lowest);
      return next;
    };
  }
}

/** All promises that can go on have gone on: ticks come after them. */
const drained = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
