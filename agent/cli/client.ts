import { hc } from 'hono/client';
import type { Api } from '#functions/api/api.ts';
import { ByteSearchParams } from '#functions/api/percent.ts';
import { type FaultKind, LeatError, faultKinds } from '#shared/model/faults.ts';
import { NoAgentError } from './agent-file.ts';

/** Where an agent listens and what it wants to hear. */
export interface Address {
  readonly url: string;
  readonly token: string;
}

interface PutOptions {
  readonly mode: number;
  /** Bytes to come. */
  readonly size: number;
  readonly signal: AbortSignal;
}

export type Client = ReturnType<typeof connect>;

/** The API, typed. A failure of the agent's side is thrown as the same `LeatError` that it was there. */
export function connect({ url, token }: Address) {
  const authorization = { authorization: `Bearer ${token}` };
  const send = async (input: string | URL | Request, init?: RequestInit) => {
    const response = await fetch(input, init).catch((error: unknown) => {
      throw unreachable(url, error);
    });
    if (!response.ok) throw await rebuilt(response);
    return response;
  };
  const api = hc<Api>(url, {
    headers: authorization,
    fetch: send,
    buildSearchParams: (query) => new ByteSearchParams(query),
  }).v1;
  return {
    ...nouns(api),
    /** Streams a body, which the typed client cannot: a whole file, shown once it is in its store. */
    async put(path: string, body: ReadableStream<Uint8Array>, { mode, size, signal }: PutOptions) {
      await send(api.content.$url({ query: { path, mode: mode.toString(8) } }), {
        method: 'PUT',
        headers: { ...authorization, 'content-length': String(size) },
        body,
        signal,
        // Node sends a stream only when told that the answer may wait for its end.
        duplex: 'half',
      });
    },
  };
}

/** The proxy of `hc` has no properties of its own to spread. */
function nouns(api: ReturnType<typeof hc<Api>>['v1']) {
  return {
    files: api.files,
    xattrs: api.xattrs,
    content: api.content,
    events: api.events,
    mounts: api.mounts,
    quotas: api.quotas,
    agent: api.agent,
  };
}

async function rebuilt(response: Response): Promise<LeatError> {
  const text = await response.text();
  try {
    const { kind, message } = JSON.parse(text) as { kind: FaultKind; message: string };
    if (faultKinds.includes(kind)) return new LeatError(kind, message);
  } catch {
    // Not JSON, so not from an agent.
  }
  return new LeatError('unavailable', `${response.url} answered ${response.status}, which is no answer of an agent`);
}

function unreachable(url: string, cause: unknown): LeatError {
  if (cause instanceof Error && cause.name === 'AbortError') return new LeatError('interrupted', 'interrupted');
  return new NoAgentError(`no agent answers at ${url}: start one with \`leat up\``, { cause });
}
