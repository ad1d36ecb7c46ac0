/** A request that waits for its turn. */
export interface Turn {
  proceed?: () => void;
}

/**
 * Bounds the requests to stores, because each holds a connection and its buffer. What a reader waits for goes before what is
 * fetched ahead of one.
 */
export class FetchGate {
  #free: number;
  readonly #urgent: Turn[] = [];
  readonly #ahead: Turn[] = [];

  constructor(turns: number) {
    this.#free = turns;
  }

  /** Undefined: go on at once. Every turn ends with one `leave`. */
  enter(turn: Turn, urgent: boolean): Promise<void> | undefined {
    if (this.#free > 0) {
      this.#free--;
      return undefined;
    }
    (urgent ? this.#urgent : this.#ahead).push(turn);
    return new Promise((resolve) => {
      turn.proceed = resolve;
    });
  }

  leave(): void {
    const next = this.#urgent.shift() ?? this.#ahead.shift();
    if (next) next.proceed?.();
    else this.#free++;
  }

  /** A reader has come to wait for what was only fetched ahead. */
  promote(turn: Turn): void {
    const place = this.#ahead.indexOf(turn);
    if (place < 0) return;
    this.#ahead.splice(place, 1);
    this.#urgent.push(turn);
  }

  /** Nobody needs it any more; false when it has had its turn already. */
  withdraw(turn: Turn): boolean {
    for (const queue of [this.#urgent, this.#ahead]) {
      const place = queue.indexOf(turn);
      if (place < 0) continue;
      queue.splice(place, 1);
      return true;
    }
    return false;
  }
}
