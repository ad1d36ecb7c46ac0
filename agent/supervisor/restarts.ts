/** An agent that has served for so long has not failed to start. */
const STEADY_MS = 1000;
const EARLY_DEATHS_MAX = 10;
const PAUSE_MS = 100;
const PAUSE_MS_MAX = 5000;

/** When an agent that has died is followed by another. */
export class Restarts {
  #early = 0;

  /** How long to wait first; undefined: not at all, they die as soon as they are started. */
  afterDeath(servedMs: number): number | undefined {
    this.#early = servedMs >= STEADY_MS ? 0 : this.#early + 1;
    if (this.#early > EARLY_DEATHS_MAX) return undefined;
    return this.#early < 2 ? 0 : Math.min(PAUSE_MS * 2 ** (this.#early - 2), PAUSE_MS_MAX);
  }

  get deaths(): number {
    return this.#early;
  }
}
