import type net from 'node:net';
import { LeatError } from '../model/faults.ts';
import type { HttpServer } from './http-socket.ts';
import { type ResponseEvents, ResponseParser } from './http-response.ts';

interface Exchange {
  readonly parser: ResponseParser;
  readonly resolve: (canReuse: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** When the last byte came, on any connection that shares it. */
export interface Pulse {
  heardMs: number;
}

export interface OpenOptions {
  /** Into which every read of the socket goes; as large as a piece of a body, and a head before it. */
  readonly buffer: Buffer;
  readonly pulse: Pulse;
  /** Without a byte for this long the exchange is given up. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onClose: () => void;
}

/** One connection, and at most one exchange on it at a time. */
export class HttpConnection {
  /** Since when it waits for a request. */
  idleSinceMs = 0;
  /** True when an answer was completed on it. */
  isUsed = false;
  /** True when the exchange that failed did so before a byte of its answer, because the server closed the connection. */
  wasDropped = false;
  readonly #pulse: Pulse;
  #socket: net.Socket | undefined;
  #exchange: Exchange | undefined;
  #hasAnswer = false;

  readonly #buffer: Buffer;
  /** What came and has not been taken yet lies from here … */
  #start = 0;
  /** … to here, where the next read goes. */
  #end = 0;

  private constructor(buffer: Buffer, pulse: Pulse) {
    this.#buffer = buffer;
    this.#pulse = pulse;
  }

  static async open(server: HttpServer, options: OpenOptions): Promise<HttpConnection> {
    const { buffer, pulse, timeoutMs, signal, onClose } = options;
    const connection = new HttpConnection(buffer, pulse);
    const onread = {
      buffer: () => connection.#room(),
      callback: (length: number) => {
        connection.#receive(length);
        return true;
      },
    };
    const socket = await server.connect(onread, signal);
    const lost = (error: Error) => new LeatError('unavailable', `${server.name}: ${error.message}`, { cause: error });
    connection.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', (error) => connection.#drop(lost(error)));
    socket.on('end', () => connection.#ended());
    socket.on('close', () => {
      if (connection.#exchange) connection.#drop(lost(new Error('the connection was closed')));
      onClose();
    });
    socket.setTimeout(timeoutMs, () => {
      connection.#drop(new LeatError('unavailable', `${server.name}: no answer for ${timeoutMs} ms`));
      socket.destroy();
    });
    return connection;
  }

  get isOpen(): boolean {
    return this.#socket?.destroyed === false;
  }

  /** Sends a request without a body and feeds the response to `events`; answers whether another may follow. */
  exchange(request: string, events: ResponseEvents): Promise<boolean> {
    return new Promise<boolean>((resolve, reject) => {
      this.#hasAnswer = false;
      this.#start = this.#end = 0;
      this.#exchange = { parser: new ResponseParser(events), resolve, reject };
      if (this.isOpen) this.#socket?.write(request, 'latin1');
      else this.#drop(new LeatError('unavailable', 'the connection was closed'));
    });
  }

  /** `why` is told to an exchange that is under way. */
  destroy(why?: Error): void {
    if (why) this.#fail(why);
    this.#socket?.destroy();
  }

  /** To the end of the piece and no further, so that the next one begins at the front of the buffer and has room there. */
  #room(): Buffer {
    const piece = this.#exchange?.parser.piece ?? this.#buffer.length - this.#start;
    if (this.#start + piece > this.#buffer.length) {
      // Only after the head of an answer, which comes with as much of the body as there is room for.
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.#buffer.subarray(this.#end, this.#start + piece);
  }

  #receive(length: number): void {
    this.#end += length;
    const exchange = this.#exchange;
    // Nobody has asked: the next exchange must not take it for its answer.
    if (!exchange) return void this.#socket?.destroy();
    this.#pulse.heardMs = performance.now();
    this.#hasAnswer = true;
    try {
      this.#start += exchange.parser.feed(this.#gathered);
      if (this.#start === this.#end || exchange.parser.isDone) this.#start = this.#end = 0;
      if (exchange.parser.isDone) this.#finish(exchange);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  get #gathered(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  #ended(): void {
    const exchange = this.#exchange;
    if (!exchange || !this.#hasAnswer) return; // `close` follows
    try {
      exchange.parser.close();
      this.#finish(exchange);
    } catch (error) {
      this.#drop(error as LeatError);
      this.destroy();
    }
  }

  #finish({ parser, resolve }: Exchange): void {
    this.#exchange = undefined;
    this.isUsed = true;
    resolve(parser.canReuse);
  }

  #drop(error: Error): void {
    const exchange = this.#exchange;
    if (exchange) this.wasDropped = !this.#hasAnswer;
    try {
      exchange?.parser.salvage(this.#gathered);
    } catch {
      // Who takes the bytes has its own trouble; that the connection is lost is told all the same.
    }
    this.#fail(error);
  }

  #fail(error: Error): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.reject(error);
  }
}
