import type { Node } from './nodes.ts';
import type { Timeout } from './protocol.ts';

/** How long the kernel may keep what it was told: no longer than the row is believed, or the store's listing. */
export class Timeouts {
  readonly #leaseMs: number;
  readonly #lease: Timeout;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
    this.#lease = timeout(leaseMs);
  }

  /** `leftMs`: of what the row may be believed. */
  of({ syncIntervalMs = -1 }: Node, leftMs = Number.POSITIVE_INFINITY): Timeout {
    const ms = Math.min(this.#leaseMs, leftMs, syncIntervalMs < 0 ? this.#leaseMs : syncIntervalMs);
    return ms === this.#leaseMs ? this.#lease : timeout(ms);
  }
}

const timeout = (ms: number): Timeout => ({ seconds: Math.floor(ms / 1000), nanos: Math.floor(ms % 1000) * 1e6 });
