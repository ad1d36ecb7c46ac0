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
  /** Into which every read of the socket goes. */
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

  private constructor(pulse: Pulse) {
    this.#pulse = pulse;
  }

  static async open(server: HttpServer, options: OpenOptions): Promise<HttpConnection> {
    const { buffer, pulse, timeoutMs, signal, onClose } = options;
    const connection = new HttpConnection(pulse);
    const onread = {
      buffer,
      callback: (length: number, bytes: Uint8Array) => {
        connection.#receive(length === bytes.length ? (bytes as Buffer) : (bytes as Buffer).subarray(0, length));
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
    socket.setTimeout(timeoutMs, () =>
      connection.destroy(new LeatError('unavailable', `${server.name}: no answer for ${timeoutMs} ms`)),
    );
    return connection;
  }

  get isOpen(): boolean {
    return this.#socket?.destroyed === false;
  }

  /** Sends a request without a body and feeds the response to `events`; answers whether another may follow. */
  exchange(request: string, events: ResponseEvents): Promise<boolean> {
    return new Promise<boolean>((resolve, reject) => {
      this.#hasAnswer = false;
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

  #receive(bytes: Buffer): void {
    const exchange = this.#exchange;
    // Nobody has asked: the next exchange must not take it for its answer.
    if (!exchange) return void this.#socket?.destroy();
    this.#pulse.heardMs = performance.now();
    this.#hasAnswer = true;
    try {
      exchange.parser.feed(bytes);
      if (exchange.parser.isDone) this.#finish(exchange);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #ended(): void {
    const exchange = this.#exchange;
    if (!exchange || !this.#hasAnswer) return; // `close` follows
    try {
      exchange.parser.close();
      this.#finish(exchange);
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #finish({ parser, resolve }: Exchange): void {
    this.#exchange = undefined;
    this.isUsed = true;
    resolve(parser.canReuse);
  }

  #drop(error: Error): void {
    if (this.#exchange) this.wasDropped = !this.#hasAnswer;
    this.#fail(error);
  }

  #fail(error: Error): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.reject(error);
  }
}
