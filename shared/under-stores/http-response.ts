import { LeatError } from '../model/faults.ts';

const HEAD_BYTES_MAX = 64 * 1024;

export interface ResponseHead {
  readonly status: number;
  /** Names in lower case; of repeated ones the last. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface ResponseEvents {
  /** Before the first byte of the body. Throwing ends the response. */
  onHead(head: ResponseHead): void;
  onBody(bytes: Uint8Array): void;
  onEnd(canReuse: boolean): void;
}

type State = 'head' | 'fixed' | 'until-close' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer' | 'done';

/**
 * Reads one HTTP/1.1 response from pieces of any size, as they come from a socket's reused buffer: body bytes are handed on at
 * once and never kept. Only what S3 servers send is understood, and everything else is refused.
 */
export class ResponseParser {
  readonly #events: ResponseEvents;
  #state: State = 'head';
  #text = '';
  #left = 0;
  #canReuse = true;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  feed(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && this.#state !== 'done';) {
      if (this.#state === 'fixed' || this.#state === 'chunk' || this.#state === 'until-close')
        at = this.#body(bytes, at);
      else at = this.#line(bytes, at);
    }
  }

  /** The connection has ended: that ends a body without a length, and breaks every other. */
  close(): void {
    if (this.#state === 'done') return;
    if (this.#state !== 'until-close')
      throw new LeatError('unavailable', 'the connection ended in the middle of a response');
    this.#finish();
  }

  #body(bytes: Buffer, at: number): number {
    const end = this.#state === 'until-close' ? bytes.length : Math.min(bytes.length, at + this.#left);
    this.#events.onBody(bytes.subarray(at, end));
    this.#left -= end - at;
    if (this.#left === 0 && this.#state === 'fixed') this.#finish();
    else if (this.#left === 0 && this.#state === 'chunk') this.#state = 'chunk-end';
    return end;
  }

  /** Collects text up to the end of a line, or of the whole head. */
  #line(bytes: Buffer, at: number): number {
    const newline = bytes.indexOf(10, at);
    const end = newline < 0 ? bytes.length : newline + 1;
    this.#text += bytes.toString('latin1', at, end);
    if (this.#text.length > HEAD_BYTES_MAX)
      throw new LeatError('unavailable', 'the response has a head of more than 64 KiB');
    if (newline < 0) return end;
    if (this.#state === 'head') {
      if (/\r?\n\r?\n$/.test(this.#text)) this.#head(this.#taken());
    } else this.#chunkLine(this.#taken().trim());
    return end;
  }

  #taken(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  #head(text: string): void {
    const [first = '', ...lines] = text.trimEnd().split(/\r?\n/);
    const [, minor, code] = /^HTTP\/1\.([01]) (\d{3})/.exec(first) ?? [];
    if (code === undefined)
      throw new LeatError('unavailable', `the server does not speak HTTP/1.1: ${first.slice(0, 80)}`);
    const status = Number(code);
    if (status >= 100 && status < 200) return;
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
    }
    const connection = headers.get('connection')?.toLowerCase() ?? (minor === '0' ? 'close' : '');
    this.#canReuse = !connection.includes('close');
    this.#events.onHead({ status, headers });
    this.#begin(status, headers);
  }

  #begin(status: number, headers: ReadonlyMap<string, string>): void {
    const length = headers.get('content-length');
    if (status === 204 || status === 304) this.#finish();
    else if (headers.get('transfer-encoding')?.toLowerCase() === 'chunked') this.#state = 'chunk-size';
    else if (length === undefined) {
      this.#state = 'until-close';
      this.#left = Number.POSITIVE_INFINITY;
      this.#canReuse = false;
    } else {
      this.#left = Number(length);
      this.#state = 'fixed';
      if (this.#left === 0) this.#finish();
    }
  }

  #chunkLine(line: string): void {
    if (this.#state === 'chunk-end') this.#state = 'chunk-size';
    else if (this.#state === 'chunk-size') {
      this.#left = Number.parseInt(line, 16);
      if (!(this.#left >= 0)) throw new LeatError('unavailable', 'the response has a chunk without a size');
      this.#state = this.#left === 0 ? 'trailer' : 'chunk';
    } else if (line === '') this.#finish();
  }

  #finish(): void {
    this.#state = 'done';
    this.#events.onEnd(this.#canReuse);
  }
}
