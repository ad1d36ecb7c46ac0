import { setTimeout as sleep } from 'node:timers/promises';
import { isFault, LeatError } from '../model/faults.ts';

const BACKOFF_MS_FIRST = 50;
const BACKOFF_MS_MAX = 1000;
/** A second try even when the first one alone took longer than the patience: one stuck server of many is no outage. */
const ATTEMPTS_MIN = 2;

/** How long something goes on being tried without a byte of progress. */
export interface Patience {
  /** While the server answers, but with `come back later`: such storms pass, and readers are better off waiting. */
  readonly busyMs: number;
  /** While nothing answers. Readers of a mount hang for this long, so an outage is told sooner. */
  readonly outageMs: number;
}

export type Trouble = 'busy' | 'outage';

/** What an HTTP server said when it refused; the cause of the fault that callers see. */
export class RefusedAnswer extends Error {
  override readonly name = 'RefusedAnswer';
  readonly status: number;
  readonly code: string;
  /** `Date:` of the answer, for requests that were refused because a clock is wrong. */
  readonly date: string | undefined;

  constructor(status: number, code: string, date?: string) {
    super(`the server answered ${status} ${code}`.trimEnd());
    this.status = status;
    this.code = code;
    this.date = date;
  }
}

/** A certificate that is not trusted now will not be in a second either. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ERR_TLS|ERR_SSL|EPROTO/;
const SOCKET = /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|ERR_STREAM|ERR_SOCKET)/;
/** After RequestTimeTooSkewed the next request goes by the server's clock. */
const BUSY_CODE =
  /^(SlowDown|InternalError|Throttl|RequestTimeout$|RequestTimeTooSkewed|RequestLimitExceeded|ServiceUnavailable|TooManyRequests)/;

/** The errno of a failed connection, also inside of the errors that Node wraps it in. */
export function socketCode(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause ?? (at as AggregateError).errors?.[0]) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string' && (SOCKET.test(code) || CERTIFICATE.test(code))) return code;
  }
  return undefined;
}

export const isCertificateRefused = (error: unknown): boolean => CERTIFICATE.test(socketCode(error) ?? '');

/** Why trying again may help; undefined when it will not. */
export function troubleOf(error: unknown): Trouble | undefined {
  if (isCertificateRefused(error)) return undefined;
  const refusal = refusalOf(error);
  if (refusal) {
    const isBusy = refusal.status >= 500 || refusal.status === 429 || BUSY_CODE.test(refusal.code);
    return isBusy && refusal.status !== 501 ? 'busy' : undefined;
  }
  const isTimeout = error instanceof Error && error.name === 'TimeoutError';
  return isTimeout || isFault(error, 'unavailable') || socketCode(error) !== undefined ? 'outage' : undefined;
}

/** Ours, or that of an exception of the SDK. */
function refusalOf(error: unknown): { status: number; code: string } | undefined {
  const cause = error instanceof LeatError ? error.cause : error;
  if (cause instanceof RefusedAnswer) return cause;
  const status = (cause as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
  return status === undefined ? undefined : { status, code: (cause as Error).name };
}

/** The tries of one act: how many there were, and whether another is worth it. */
export class Attempts {
  readonly #patience: Patience;
  #sinceMs = performance.now();
  #fruitless = 0;
  #count = 0;

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  get count(): number {
    return this.#count;
  }

  /** Something came: patience begins anew. */
  progress(): void {
    this.#sinceMs = performance.now();
    this.#fruitless = 0;
  }

  /**
   * Call it with what an attempt failed of. Waits, and answers true when it is time for the next; false when patience is
   * over. Exponential with full jitter: a thousand readers do not come back together.
   */
  async next(trouble: Trouble, signal?: AbortSignal): Promise<boolean> {
    this.#count++;
    this.#fruitless++;
    const patienceMs = trouble === 'busy' ? this.#patience.busyMs : this.#patience.outageMs;
    if (this.#fruitless >= ATTEMPTS_MIN && performance.now() - this.#sinceMs >= patienceMs) return false;
    const limit = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** (this.#fruitless - 1));
    await sleep(Math.random() * limit, undefined, signal && { signal }).catch(() => undefined); // the abort shows in the attempt
    return true;
  }

  /** For messages. */
  toString(): string {
    return this.#count > 1 ? ` (tried ${this.#count} times)` : '';
  }
}

/** Runs `act` until it succeeds, fails for good, or patience is over. */
export async function retried<Result>(
  patience: Patience,
  act: () => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  const attempts = new Attempts(patience);
  for (;;) {
    try {
      return await act();
    } catch (error) {
      const trouble = signal?.aborted ? undefined : troubleOf(error);
      if (!trouble || !(await attempts.next(trouble, signal))) throw error;
    }
  }
}
