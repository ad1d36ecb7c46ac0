/** Who has claimed something, until it is over with him. */
export interface Claimant {
  readonly claims: Set<string>;
  readonly over: Promise<void>;
}

/** Another has claimed the same. */
class Claimed extends Error {
  readonly by: Claimant;

  constructor(by: Claimant) {
    super('invariant: who is refused a claim begins anew');
    this.by = by;
  }
}

/**
 * What one at a time may have. Nobody waits with claims of his own: who comes second is thrown out, and begins anew when the
 * first is done.
 */
export class Claims {
  readonly #claims = new Map<string, Claimant>();

  /** Throws `Claimed`. */
  claim(what: string, claimant: Claimant): void {
    const by = this.#claims.get(what) ?? claimant;
    if (by !== claimant) throw new Claimed(by);
    this.#claims.set(what, claimant);
    claimant.claims.add(what);
  }

  /** Runs `act`, which claims in the name that it is handed, as often as others come first. */
  async claiming<Result>(act: (claimant: Claimant) => Promise<Result>): Promise<Result> {
    for (;;) {
      const { promise: over, resolve: end } = Promise.withResolvers<void>();
      const claimant = { claims: new Set<string>(), over };
      let first: Claimant;
      try {
        return await act(claimant);
      } catch (error) {
        if (!(error instanceof Claimed)) throw error;
        first = error.by;
      } finally {
        for (const what of claimant.claims) this.#claims.delete(what);
        end();
      }
      await first.over;
    }
  }
}
