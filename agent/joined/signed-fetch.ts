import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { SignatureV4 } from '@smithy/signature-v4';
import { LeatError } from '#shared/model/faults.ts';
import { keptConnections } from './kept-connections.ts';

const SERVICE = 'lambda';
const FUNCTION_URL_REGION = /\.lambda-url\.([a-z0-9-]+)\./;
const DEFAULT_REGION = 'us-east-1';
const LOCAL = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|.+\.localhost)$/;

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

interface SignedFetchDeps {
  /** Where AWS's own tools look, in their order, unless given: environment, profile, container, instance. */
  readonly credentials?: () => Promise<Credentials>;
}

/**
 * `fetch` with requests signed for a function URL (SigV4), as whom this machine is. A cloud on this machine asks for no
 * signature: there a request goes without one when there are no credentials.
 */
export function signedFetch({ credentials = defaultProvider() }: SignedFetchDeps = {}) {
  const exchange = keptConnections();
  let isUnsigned = false;
  return async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const body = await request.text();
    const identity = isUnsigned ? undefined : await found(credentials, url);
    // Looking takes a second where there is nothing to be found.
    isUnsigned ||= identity === undefined;
    const headers = { ...Object.fromEntries(request.headers), host: url.host };
    const signed = identity ? await signedHeaders(identity, url, { method: request.method, headers, body }) : headers;
    return exchange(url, { method: request.method, headers: signed, body, signal: request.signal });
  };
}

async function found(credentials: () => Promise<Credentials>, url: URL): Promise<Credentials | undefined> {
  try {
    return await credentials();
  } catch (cause) {
    if (url.protocol === 'http:' && LOCAL.test(url.hostname)) return undefined;
    const next = 'log in with the AWS CLI, set AWS_PROFILE, or give this machine a role';
    throw new LeatError('denied', `${url.origin}: no AWS credentials to sign requests with; ${next}`, { cause });
  }
}

interface Unsigned {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

async function signedHeaders(identity: Credentials, url: URL, request: Unsigned): Promise<Record<string, string>> {
  const region = FUNCTION_URL_REGION.exec(url.hostname)?.[1] ?? process.env['AWS_REGION'] ?? DEFAULT_REGION;
  const signer = new SignatureV4({ credentials: identity, region, service: SERVICE, sha256: Sha256 });
  const { protocol, hostname, pathname: path, searchParams } = url;
  const query = Object.fromEntries(searchParams);
  return (await signer.sign({ ...request, protocol, hostname, path, query })).headers;
}

/** As the signer wants to be given it. */
class Sha256 {
  readonly #begin: () => Hash | Hmac;
  #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    const key = secret === undefined || typeof secret === 'string' ? secret : bytesOf(secret);
    this.#begin = () => (key === undefined ? createHash('sha256') : createHmac('sha256', key));
    this.#hash = this.#begin();
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(typeof data === 'string' ? data : bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    this.#hash = this.#begin();
  }
}

function bytesOf(data: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
