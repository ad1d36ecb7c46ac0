import { LeatError } from '../model/faults.ts';

export const HEAD_BYTES_MAX = 64 * 1024;
export const PIECE_BYTES_MAX = 256 * 1024;
const LINE_BYTES_MAX = 4096;
const HEAD_END = Buffer.from('\r\n\r\n');

/** Status and headers. Few of them are ever looked at, so they are looked for in the text, and not taken apart. */
export class ResponseHead {
  readonly status: number;
  readonly #text: string;
  #lowered: string | undefined;

  constructor(status: number, text: string) {
    this.status = status;
    this.#text = text;
  }

  /** `name` in lower case; of repeated headers the first. */
  header(name: string): string | undefined {
    this.#lowered ??= this.#text.toLowerCase();
    const start = this.#lowered.indexOf(`\r\n${name}:`);
    if (start < 0) return undefined;
    const at = start + name.length + 3;
    const end = this.#text.indexOf('\r\n', at);
    return this.#text.slice(at, end < 0 ? undefined : end).trim();
  }
}

export interface ResponseEvents {
  /** Before the first byte of the body. Throwing ends the response. */
  onHead(head: ResponseHead): void;
  /** `bytes` are only valid during the call. */
  onBody(bytes: Uint8Array): void;
  /** How many bytes of a body of known length the next `onBody` shall have, unless it ends or breaks before; `PIECE_BYTES_MAX` at most. */
  readonly pieceBytes: number;
}

type State = 'head' | 'fixed' | 'until-close' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer' | 'done';

/**
 * Reads one HTTP/1.1 response from a socket's reused buffer, in which the bytes of a piece of the body gather until it is
 * whole. Only what S3 servers send is understood, and everything else is refused.
 */
export class ResponseParser {
  readonly #events: ResponseEvents;
  #state: State = 'head';
  /** The beginning of a head or line, until its end has come. */
  #text = '';
  #left = 0;
  #canReuse = true;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** After the end: whether the connection may carry another request. */
  get canReuse(): boolean {
    return this.#canReuse;
  }

  /** The length of the piece of the body that comes now; undefined where it does not come in pieces. */
  get piece(): number | undefined {
    return this.#state === 'fixed' ? Math.min(this.#left, this.#events.pieceBytes) : undefined;
  }

  /** Takes what it can: answers how many bytes. The rest is to be handed in again, with what comes after it. */
  feed(bytes: Buffer): number {
    let at = 0;
    for (let taken = -1; at < bytes.length && at !== taken && this.#state !== 'done';) {
      taken = at;
      at = this.#step(bytes, at);
    }
    // Bytes that belong to no request: whatever comes next on this connection cannot be trusted.
    if (at < bytes.length && this.#state === 'done') this.#canReuse = false;
    return at;
  }

  /** The connection is lost: what has gathered of a piece is good all the same. */
  salvage(bytes: Buffer): void {
    if (bytes.length > 0 && this.#state === 'fixed') this.#events.onBody(bytes);
  }

  /** The connection has ended: that ends a body without a length, and breaks every other. */
  close(): void {
    if (this.#state === 'done') return;
    if (this.#state !== 'until-close')
      throw new LeatError('unavailable', 'the connection ended in the middle of a response');
    this.#state = 'done';
  }

  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#head(bytes, at);
      case 'fixed':
      case 'chunk':
      case 'until-close':
        return this.#body(bytes, at);
      case 'chunk-size':
      case 'chunk-end':
      case 'trailer':
        return this.#line(bytes, at);
      case 'done':
        return bytes.length;
    }
  }

  #body(bytes: Buffer, at: number): number {
    const { piece } = this;
    if (piece !== undefined && at + piece > bytes.length) return at;
    const end = Math.min(bytes.length, at + (piece ?? this.#left));
    this.#events.onBody(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    this.#left -= end - at;
    if (this.#left === 0) this.#state = this.#state === 'fixed' ? 'done' : 'chunk-end';
    return end;
  }

  /** Nearly always the head comes in one piece, and is then searched and decoded once. */
  #head(bytes: Buffer, at: number): number {
    if (this.#text === '') {
      const end = bytes.indexOf(HEAD_END, at);
      if (end >= 0) {
        this.#begin(bytes.toString('latin1', at, end));
        return end + HEAD_END.length;
      }
    }
    const before = this.#text.length;
    this.#text += bytes.toString('latin1', at, Math.min(bytes.length, at + HEAD_BYTES_MAX));
    const end = this.#text.indexOf('\r\n\r\n', Math.max(0, before - HEAD_END.length));
    if (end < 0) {
      if (this.#text.length >= HEAD_BYTES_MAX)
        throw new LeatError('unavailable', 'the response has a head of more than 64 KiB');
      return bytes.length;
    }
    const text = this.#text.slice(0, end);
    this.#text = '';
    this.#begin(text);
    return at + end + HEAD_END.length - before;
  }

  #begin(text: string): void {
    const [, minor, code] = /^HTTP\/1\.([01]) (\d{3})/.exec(text) ?? [];
    if (code === undefined)
      throw new LeatError('unavailable', `the server does not speak HTTP/1.1: ${text.slice(0, 80)}`);
    const status = Number(code);
    if (status < 200) return; // `100 Continue` and its like come before the answer
    const head = new ResponseHead(status, text);
    const connection = head.header('connection')?.toLowerCase() ?? (minor === '0' ? 'close' : '');
    this.#canReuse = !connection.includes('close');
    this.#events.onHead(head);
    this.#frame(head);
  }

  /** How the body ends. */
  #frame(head: ResponseHead): void {
    if (head.status === 204 || head.status === 304) {
      this.#state = 'done';
      return;
    }
    if (head.header('transfer-encoding')?.toLowerCase() === 'chunked') {
      this.#state = 'chunk-size';
      return;
    }
    const length = head.header('content-length');
    if (length === undefined) {
      this.#state = 'until-close';
      this.#left = Number.POSITIVE_INFINITY;
      this.#canReuse = false;
      return;
    }
    if (!/^\d+$/.test(length)) throw new LeatError('unavailable', `the response has the length '${length}'`);
    this.#left = Number(length);
    this.#state = this.#left === 0 ? 'done' : 'fixed';
  }

  #line(bytes: Buffer, at: number): number {
    const newline = bytes.indexOf(10, at);
    const end = newline < 0 ? bytes.length : newline + 1;
    if (this.#text.length + end - at > LINE_BYTES_MAX)
      throw new LeatError('unavailable', 'the response has a chunk whose size takes more than 4 KiB to say');
    this.#text += bytes.toString('latin1', at, end);
    if (newline >= 0) this.#chunkLine(this.#text.trim());
    return end;
  }

  #chunkLine(line: string): void {
    this.#text = '';
    if (this.#state === 'trailer') {
      if (line === '') this.#state = 'done';
      return;
    }
    if (this.#state === 'chunk-end' && line === '') {
      this.#state = 'chunk-size';
      return;
    }
    const size = this.#state === 'chunk-size' ? /^[0-9a-f]{1,12}(?=;|\s|$)/i.exec(line)?.[0] : undefined;
    if (size === undefined) throw new LeatError('unavailable', 'the response has a chunk without a size');
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? 'trailer' : 'chunk';
  }
}
