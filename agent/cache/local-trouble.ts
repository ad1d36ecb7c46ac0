/** How long the cache leaves the local disk alone after it has refused something; reads go straight to their readers meanwhile. */
const PAUSE_MS = 2_000;

export interface LocalTroubleDeps {
  readonly clock: () => number;
  readonly log: (message: string) => void;
}

/**
 * A full disk, too many open files, a directory that somebody has removed: none of it is the reader's business. It is said
 * once per pause, and the cache stands aside until the pause is over.
 */
export class LocalTrouble {
  readonly #deps: LocalTroubleDeps;
  #until = Number.NEGATIVE_INFINITY;

  constructor(deps: LocalTroubleDeps) {
    this.#deps = deps;
  }

  get present(): boolean {
    return this.#deps.clock() < this.#until;
  }

  report(error: unknown, path: string): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (!this.present) {
      this.#deps.log(`cache: ${path} cannot be kept (${reason}); reading from the store for ${PAUSE_MS / 1000} s`);
    }
    this.#until = this.#deps.clock() + PAUSE_MS;
  }
}
