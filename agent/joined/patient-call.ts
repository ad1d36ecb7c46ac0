import { type FaultKind, faultKinds, LeatError } from '#shared/model/faults.ts';
import { NotSent } from './kept-connections.ts';

const ANSWER_MS_MAX = 60_000;
const ATTEMPTS_MAX = 6;
const BACKOFF_MS = 100;
const BACKOFF_MS_MAX = 5000;
const TOO_MANY = 429;
const SERVER_ERRORS = 500;
const SHOWN_CHARS_MAX = 200;

export interface Calling {
  /** Signs, where that is asked for. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** Of the API, as far as `/v1`. */
  readonly url: string;
  readonly sleep: (ms: number) => Promise<void>;
  /** From 0 to below 1. */
  readonly random: () => number;
}

interface CallOptions {
  readonly method?: string;
  /** How long an attempt may take. */
  readonly answerMsMax?: number;
  /** An attempt without an answer may still be at work until so long after it was sent, and another would meet it. */
  readonly atWorkMsMax?: number;
}

/** Sends a body, if there is one, and answers what comes back. The body is made anew for each attempt, and told whether it was sent before. */
export type Call = (path: string, body: (isRetry: boolean) => unknown, options?: CallOptions) => Promise<unknown>;

/** Asks again, after a while by chance, while that may help; failures of the API come out as the faults they went in as. */
export function patientCall({ fetch, url, sleep, random }: Calling): Call {
  const base = url.replace(/\/+$/, '');
  return async (path, body, options) => {
    for (let attempt = 1; ; attempt++) {
      const sentAt = performance.now();
      const outcome = await tried(fetch, base + path, { ...options, body: body(attempt > 1) });
      if ('answer' in outcome) return outcome.answer;
      if (!outcome.mayPass || attempt === ATTEMPTS_MAX) throw outcome.error;
      const backoff = random() * Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** attempt);
      const atWork = outcome.mayBeAtWork ? sentAt + (options?.atWorkMsMax ?? 0) - performance.now() : 0;
      await sleep(Math.max(backoff, atWork));
    }
  };
}

interface Failure {
  readonly error: LeatError;
  readonly mayPass: boolean;
  readonly mayBeAtWork?: boolean;
}

type Outcome = { readonly answer: unknown } | Failure;

async function tried(
  fetch: Calling['fetch'],
  url: string,
  { method = 'POST', answerMsMax = ANSWER_MS_MAX, body }: CallOptions & { readonly body: unknown },
): Promise<Outcome> {
  const headers = { 'content-type': 'application/json' };
  const sent = body === undefined ? {} : { headers, body: JSON.stringify(body) };
  try {
    const request = new Request(url, { method, ...sent, signal: AbortSignal.timeout(answerMsMax) });
    const response = await fetch(request);
    return understood(url, response, await response.text());
  } catch (cause) {
    // What says itself what is wrong, such as missing credentials, is not mended by asking again.
    if (cause instanceof LeatError) return { error: cause, mayPass: false };
    const reason = cause instanceof Error ? reasonOf(cause) : String(cause);
    const error = new LeatError('unavailable', `${url}: no answer (${reason}); is the API up?`, { cause });
    return { error, mayPass: true, mayBeAtWork: !(cause instanceof NotSent) };
  }
}

/** `fetch` says only that it failed; why is in the cause. */
function reasonOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}

function understood(url: string, { ok, status }: Response, text: string): Outcome {
  const value = parsed(text);
  if (ok && value !== undefined) return { answer: value };
  const { kind, message } = (value ?? {}) as { readonly kind?: unknown; readonly message?: unknown };
  // The API's own word, also that something is unavailable: it has tried by itself before it said so.
  if (!ok && isKind(kind)) return { error: new LeatError(kind, String(message)), mayPass: false };
  const said = `${url} answered ${status}: ${text.slice(0, SHOWN_CHARS_MAX)}`;
  if (status === 401 || status === 403) {
    const next = 'give this agent a role that may call the API (lambda:InvokeFunctionUrl)';
    return { error: new LeatError('denied', `${said}; ${next}`), mayPass: false };
  }
  const mayPass = ok || status === TOO_MANY || status >= SERVER_ERRORS;
  return { error: new LeatError('unavailable', said), mayPass };
}

function parsed(text: string): unknown {
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isKind(kind: unknown): kind is FaultKind {
  return (faultKinds as readonly unknown[]).includes(kind);
}
