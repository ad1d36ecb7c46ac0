import type { Origin, StoreKey } from '../model/inode.ts';
import { type Intent, keysOf } from './intent.ts';
import { KeyHistory } from './key-history.ts';
import { KeyIndex } from './key-index.ts';

/** Somebody who asks a store, and how much had been done when he began. */
export interface Observation {
  readonly since: number;
  readonly end: () => void;
}

type Move = Intent & { readonly act: 'move' };

/** Keys in the histories before those are looked for that nobody asks about any more. */
const HISTORY_MAX = 100_000;

/** What the answers of the stores are worth, key by key, while they are owed changes. */
export class IntentKeys {
  /** Owed, or being uploaded. */
  readonly #pending = new KeyIndex();
  /** Of these the removals and moves, which change what lies below their keys too. */
  readonly #displacing = new KeyIndex();
  /** And of those the removals. */
  readonly #removing = new KeyIndex();
  /** New keys of what is being moved. */
  readonly #arriving = new KeyIndex();
  /** The same, from when the old ones do not tell of it any more. */
  readonly #leaving = new KeyIndex();
  /** What was done of these while somebody read a store, who may have seen it as it was before. */
  readonly #done = new KeyHistory();
  readonly #displaced = new KeyHistory();
  readonly #left = new KeyHistory();
  readonly #observers = new Set<Observation>();
  readonly #moves = new Map<string, { leave(): void }>();
  #doneCount = 0;
  #nextDone = Promise.withResolvers<void>();

  /** Resolves when something more has been done. */
  get nextDone(): Promise<void> {
    return this.#nextDone.promise;
  }

  /** To be taken before a store is asked, and ended when its answer has been used. */
  observe(): Observation {
    const observation: Observation = {
      since: this.#doneCount,
      end: () => {
        this.#observers.delete(observation);
        if (this.#observers.size === 0) this.#forgetDone();
      },
    };
    this.#observers.add(observation);
    return observation;
  }

  /** True while something is owed at, above or below the key. */
  isPending(origin: Origin): boolean {
    return this.#pending.hasRelated(origin);
  }

  /** What the store said about this key, or about something below it, is not the truth, or was not. */
  isUnsettled(origin: Origin, { since }: Observation): boolean {
    return this.#pending.hasAtOrBelow(origin) || this.#done.hasAtOrBelow(origin, since);
  }

  /** What lies here is on its way elsewhere, or has gone since: what the store lists here belongs to nobody. */
  isDisplaced(origin: Origin, observation: Observation): boolean {
    return this.isBeingDisplaced(origin) || this.wasDisplaced(origin, observation);
  }

  /** As `isDisplaced`, but false again as soon as it is done. */
  isBeingDisplaced(origin: Origin): boolean {
    return this.#displacing.hasAtOrAbove(origin);
  }

  /** What lay here has gone elsewhere since. */
  wasDisplaced(origin: Origin, { since }: Observation): boolean {
    return this.#displaced.hasAtOrAbove(origin, since);
  }

  /** True while whatever lies at this very key is still to be removed. */
  isBeingRemoved(origin: Origin): boolean {
    return this.#removing.hasAt(origin);
  }

  /** True while what lies at this very key is to be moved. */
  isMoving({ mount, key }: Origin): boolean {
    return [...this.#moves.keys()].some((name) => name.startsWith(`${mount}\0${key}\0`));
  }

  /** True while what is at home here may yet have to be brought. */
  isArriving(home: Origin): boolean {
    return this.#arriving.hasAtOrAbove(home);
  }

  /** What is at home here, but was still to be read where it came from, is there no more, or is about to go. */
  hasLeftFor(home: Origin, { since }: Observation): boolean {
    return this.#leaving.hasAtOrAbove(home) || this.#left.hasAtOrAbove(home, since);
  }

  /** From now on what a move brings is not to be read at its old key. */
  leave(move: Move): void {
    this.#moves.get(nameOf(move))?.leave();
  }

  /** Answers what is to be called when it is done, or is not going to be. */
  noteIntent(intent: Intent): () => void {
    if (intent.act === 'move') return this.#noteMove(intent);
    const isRemoval = intent.act === 'remove' || intent.act === 'removeTree';
    const keys = keysOf(intent).map((key) => ({ mount: intent.mount, key }));
    const settle = this.note(keys, isRemoval);
    if (!isRemoval) return settle;
    for (const key of keys) this.#removing.add(key);
    return () => {
      for (const key of keys) this.#removing.delete(key);
      settle();
    };
  }

  note(keys: readonly Origin[], isDisplacing: boolean): () => void {
    for (const key of keys) {
      this.#pending.add(key);
      if (isDisplacing) this.#displacing.add(key);
    }
    return () => {
      this.#doneCount++;
      for (const key of keys) {
        this.#pending.delete(key);
        this.#remember(this.#done, key);
        if (isDisplacing) this.#endDisplacing(key);
      }
      if (this.#done.size > HISTORY_MAX) this.#forgetDone();
      this.#nextDone.resolve();
      this.#nextDone = Promise.withResolvers<void>();
    };
  }

  #noteMove(move: Move): () => void {
    const at = (key: StoreKey): Origin => ({ mount: move.mount, key });
    const to = at(move.to);
    const settles = [this.note([at(move.key)], true), this.note([to], false)];
    this.#displacing.add(to);
    this.#arriving.add(to);
    let hasLeft = false;
    const leave = () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#doneCount++;
      this.#endDisplacing(to);
      this.#remember(this.#left, to);
      this.#leaving.add(to);
    };
    this.#moves.set(nameOf(move), { leave });
    return () => {
      this.#moves.delete(nameOf(move));
      this.#arriving.delete(to);
      if (hasLeft) this.#leaving.delete(to);
      else this.#endDisplacing(to);
      for (const settle of settles) settle();
    };
  }

  #endDisplacing(key: Origin): void {
    this.#displacing.delete(key);
    this.#remember(this.#displaced, key);
  }

  #remember(history: KeyHistory, key: Origin): void {
    if (this.#observers.size > 0) history.add(key, this.#doneCount);
  }

  #forgetDone(): void {
    const [oldest] = this.#observers;
    for (const history of [this.#done, this.#displaced, this.#left]) history.forget(oldest?.since ?? this.#doneCount);
  }
}

/** A move waits until nothing is owed at its old key, so there are no two from one key to another. */
const nameOf = ({ mount, key, to }: Move): string => `${mount}\0${key}\0${to}`;
