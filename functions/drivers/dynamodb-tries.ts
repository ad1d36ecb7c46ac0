import { type DynamoDBClient, DynamoDBServiceException, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import { LeatError } from '#shared/model/faults.ts';
import type { Clock } from '#shared/ports/clock.ts';

/** Throttled, or in the way of another transaction: it passes, and whoever waits the longest tries the least often. */
const BUSY_TRIES_MAX = 12;
/** Nothing answers, or with an error of the server; each of these may have taken the request's whole timeout. */
const SLOW_TRIES_MAX = 5;
const BACKOFF_MS_FIRST = 25;
const BACKOFF_MS_MAX = 1000;

/** `doubt`: applied or not, nobody told. Of the others it is certain that nothing was. */
type Trouble = 'busy' | 'unreached' | 'doubt';

const TRIES_MAX: Readonly<Record<Trouble, number>> = {
  busy: BUSY_TRIES_MAX,
  unreached: SLOW_TRIES_MAX,
  doubt: SLOW_TRIES_MAX,
};

const BUSY =
  /^(Throttling|ProvisionedThroughputExceeded|RequestLimitExceeded|TransactionConflict|TransactionInProgress|ReplicatedWriteConflict|LimitExceeded)/;
/** The SDK corrects its clock by the answer that says this. */
const CLOCK_IS_WRONG = /Signature (expired|not yet current)/;
/** Others may be let in where this one is not, so it is told apart. */
const DENIED =
  /^(AccessDenied|UnrecognizedClient|InvalidSignature|MissingAuthenticationToken|ExpiredToken|CredentialsProviderError)/;
/** No connection came about, so nothing was sent. */
const UNCONNECTED = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/;
/** What the SDK says when it took too long to get a connection: also a free one of its own pool. */
const NO_CONNECTION = /did not establish a connection/;
const SOCKET = /^(ECONN|EPIPE|ETIMEDOUT|ERR_STREAM|ERR_SOCKET|ERR_HTTP2)/;
const RETRIED_REASON = /^(TransactionConflict|ThrottlingError|ProvisionedThroughputExceeded|InternalServerError)$/;

export interface DynamoDeps {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly clock: Clock;
  readonly sleep: (ms: number) => Promise<unknown>;
  readonly random: () => number;
  readonly log?: (text: string) => void;
}

export interface Tried<Answer> {
  /** For messages: the request, and of what. */
  readonly what: string;
  send(): Promise<Answer>;
  /**
   * Failures that are answers. `isInDoubt`: an earlier try may have been applied, although nobody said so. Undefined: no
   * answer, and it is tried again if that may help.
   */
  judge?(error: unknown, isInDoubt: boolean): Promise<Answer | undefined>;
}

/**
 * The one place where requests to DynamoDB are tried again; the SDK's own retries are off, because they hide whether an
 * earlier try may have been applied. Full jitter: of many that met in one item, no two meet again.
 */
export async function tried<Answer>(deps: DynamoDeps, { what, send, judge }: Tried<Answer>): Promise<Answer> {
  let isInDoubt = false;
  for (let tries = 1; ; tries++) {
    try {
      return await send();
    } catch (error) {
      const answer = await judge?.(error, isInDoubt);
      if (answer !== undefined) return answer;
      const trouble = troubleOf(error);
      isInDoubt ||= trouble === 'doubt';
      if (!trouble || tries >= TRIES_MAX[trouble]) throw givenUp(deps, { what, error, tries, isInDoubt });
      await backoff(deps, tries);
    }
  }
}

/** Also for what is no error: an answer that leaves a part of the question open. */
export async function backoff({ sleep, random }: DynamoDeps, tries: number): Promise<void> {
  await sleep(random() * Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** (tries - 1)));
}

export const isOutOfTries = (tries: number): boolean => tries >= BUSY_TRIES_MAX;

/** Why trying again may help; undefined when it will not. */
function troubleOf(error: unknown): Trouble | undefined {
  if (error instanceof TransactionCanceledException) {
    return reasonsOf(error).some((reason) => RETRIED_REASON.test(reason)) ? 'busy' : undefined;
  }
  if (error instanceof DynamoDBServiceException) {
    if (BUSY.test(error.name) || CLOCK_IS_WRONG.test(error.message)) return 'busy';
    return (error.$metadata.httpStatusCode ?? 500) >= 500 ? 'doubt' : undefined;
  }
  const code = socketCode(error);
  if (code !== undefined) return UNCONNECTED.test(code) ? 'busy' : 'doubt';
  if (!(error instanceof Error) || error.name !== 'TimeoutError') return undefined;
  return NO_CONNECTION.test(error.message) ? 'unreached' : 'doubt';
}

/** Of each item of the transaction, in their order; `None` of one that was not to blame. */
export function reasonsOf(error: TransactionCanceledException): string[] {
  return (error.CancellationReasons ?? []).map(({ Code = 'None' }) => Code);
}

export const isRetriedReason = (reason: string | undefined): boolean => RETRIED_REASON.test(reason ?? '');

/** The errno of a failed connection, also inside of the errors that Node wraps it in. */
function socketCode(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause ?? (at as AggregateError).errors?.[0]) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string' && (SOCKET.test(code) || UNCONNECTED.test(code))) return code;
  }
  return undefined;
}

interface Failure {
  readonly what: string;
  readonly error: unknown;
  readonly tries: number;
  readonly isInDoubt: boolean;
}

function givenUp({ table, log }: DynamoDeps, { what, error, tries, isInDoubt }: Failure): unknown {
  // A request that cannot be made is a broken promise of our own code.
  if (!(error instanceof Error) || error instanceof TypeError) return error;
  const said = error.message === error.name ? error.name : `${error.name}: ${error.message}`;
  const times = tries > 1 ? `failed ${tries} times, at last with` : 'failed with';
  const doubt = isInDoubt ? '; whether it was applied is not known' : '';
  const next = troubleOf(error)
    ? 'try again later, and look at the throttles of the table if it goes on'
    : 'check that the table exists and that the credentials may use it';
  const message = `table ${table}: ${what} ${times} ${said}${doubt}; ${next}`;
  log?.(message);
  return new LeatError(DENIED.test(error.name) ? 'denied' : 'unavailable', message, { cause: error });
}
