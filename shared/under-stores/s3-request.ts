import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';

const ALGORITHM = 'AWS4-HMAC-SHA256';
const UNSIGNED = 'UNSIGNED-PAYLOAD';
const PLAIN_PATH = /^[A-Za-z0-9\-._~/]*$/;

export interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface S3Endpoint {
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
  /** `Host:` header. */
  readonly authority: string;
  /** What comes before an encoded key in the path of a request: `/`, or `/bucket/`. */
  readonly pathPrefix: string;
  readonly region: string;
}

export interface ObjectRequest {
  readonly key: string;
  readonly offset: number;
  readonly end: number;
  readonly etag: string | undefined;
  /** Undefined: anonymous. */
  readonly identity: Identity | undefined;
  readonly dateMs: number;
}

export interface RequestStyle {
  readonly isRequesterPays: boolean;
  /** Before the path: empty, or the server when a proxy forwards the request. */
  readonly origin: string;
  /** Further header lines for the proxy. */
  readonly proxyLines: string;
}

/**
 * Writes signed GETs of byte ranges, and nothing else. SigV4 of a general library costs several times what it must: here the
 * headers are known, the key of the day is derived once, and only what has to be signed is (`host` and `x-amz-*`).
 */
export class ObjectRequests {
  readonly #endpoint: S3Endpoint;
  readonly #style: RequestStyle;
  #key: { readonly of: string; readonly object: KeyObject } | undefined;
  #date = { seconds: -1, text: '' };

  constructor(endpoint: S3Endpoint, style: RequestStyle) {
    this.#endpoint = endpoint;
    this.#style = style;
  }

  text(request: ObjectRequest): string {
    const path = this.#endpoint.pathPrefix + encodeKey(request.key);
    const condition = request.etag === undefined ? '' : `If-Match: "${request.etag}"\r\n`;
    const signed = request.identity ? this.#signed(path, request.identity, request.dateMs) : this.#unsigned();
    return (
      `GET ${this.#style.origin}${path} HTTP/1.1\r\nHost: ${this.#endpoint.authority}\r\n` +
      `Range: bytes=${request.offset}-${request.end - 1}\r\n${condition}${signed}${this.#style.proxyLines}\r\n`
    );
  }

  #unsigned(): string {
    return this.#style.isRequesterPays ? 'x-amz-request-payer: requester\r\n' : '';
  }

  #signed(path: string, identity: Identity, dateMs: number): string {
    const date = this.#dateText(dateMs);
    const { isRequesterPays } = this.#style;
    const { accessKeyId, sessionToken } = identity;
    const payer = isRequesterPays ? 'x-amz-request-payer:requester\n' : '';
    const token = sessionToken === undefined ? '' : `x-amz-security-token:${sessionToken}\n`;
    const headers = `x-amz-content-sha256:${UNSIGNED}\nx-amz-date:${date}\n${payer}${token}`;
    const names = `host;x-amz-content-sha256;x-amz-date${payer && ';x-amz-request-payer'}${token && ';x-amz-security-token'}`;
    const canonical = `GET\n${path}\n\nhost:${this.#endpoint.authority}\n${headers}\n${names}\n${UNSIGNED}`;
    const scope = `${date.slice(0, 8)}/${this.#endpoint.region}/s3/aws4_request`;
    const toSign = `${ALGORITHM}\n${date}\n${scope}\n${hash('sha256', canonical, 'hex')}`;
    const signature = createHmac('sha256', this.#signingKey(identity, date.slice(0, 8)))
      .update(toSign)
      .digest('hex');
    const authorization = `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
    return `${headers.replaceAll('\n', '\r\n')}Authorization: ${authorization}\r\n`;
  }

  /** Derived once for a day and an identity. With a key object an HMAC takes 3 µs, with the bytes of the key 19. */
  #signingKey({ secretAccessKey }: Identity, day: string): KeyObject {
    const of = `${day} ${secretAccessKey}`;
    if (this.#key?.of !== of) {
      const derive = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest();
      const dated = derive(derive(`AWS4${secretAccessKey}`, day), this.#endpoint.region);
      this.#key = { of, object: createSecretKey(derive(derive(dated, 's3'), 'aws4_request')) };
    }
    return this.#key.object;
  }

  /** `20261123T150000Z`. */
  #dateText(dateMs: number): string {
    const seconds = Math.floor(dateMs / 1000);
    if (this.#date.seconds !== seconds)
      this.#date = { seconds, text: new Date(seconds * 1000).toISOString().replace(/[-:]|\.\d+/g, '') };
    return this.#date.text;
  }
}

/** As SigV4 wants a path: every byte but the unreserved ones, slashes kept. */
export function encodeKey(key: string): string {
  if (PLAIN_PATH.test(key)) return key;
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
