import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { LeatError } from '../model/faults.ts';
import { proxyFor } from './proxy.ts';
import { type ResponseEvents, ResponseParser } from './http-response.ts';

const BUFFER_BYTES = 256 * 1024;
const IDLE_KEEP_MS = 4000;

export interface ServerAddress {
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
  /** PEM file of the authority that signs the server, beside the usual ones. */
  readonly caFile?: string;
}

export interface Limits {
  readonly connections: number;
  /** Without a byte for this long the connection is given up. */
  readonly timeoutMs: number;
}

interface Connection {
  readonly socket: net.Socket;
  isUsed: boolean;
  receive: (bytes: Buffer) => void;
  fail: (error: Error) => void;
  ended: () => void;
}

/**
 * A bounded set of connections to one server. Each reads into one buffer of its own, again and again (`onread`): the garbage
 * that ordinary clients make of every read costs several times what the reading does.
 */
export class HttpConnections {
  readonly #address: ServerAddress;
  readonly #limits: Limits;
  readonly #idle: Connection[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #buffers: Buffer[] = [];
  #open = 0;
  #isClosed = false;

  constructor(address: ServerAddress, limits: Limits) {
    this.#address = address;
    this.#limits = limits;
  }

  /** Sends a request without a body and feeds the response to `events`; throws when the connection breaks before its end. */
  async exchange(
    request: (isAbsolute: boolean) => string,
    events: ResponseEvents,
    signal?: AbortSignal,
  ): Promise<void> {
    signal?.throwIfAborted();
    const release = await this.#slot();
    try {
      const connection = this.#idle.pop() ?? (await this.#connect(signal));
      const canReuse = await this.#talk(
        connection,
        request(this.#proxy() !== undefined && !this.#address.isTls),
        events,
        signal,
      );
      this.#putBack(connection, canReuse);
    } finally {
      release();
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const { socket } of this.#idle.splice(0)) socket.destroy();
  }

  async #slot(): Promise<() => void> {
    if (this.#open >= this.#limits.connections) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#open++;
    return () => {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#open--;
    };
  }

  #talk(
    connection: Connection,
    request: string,
    events: ResponseEvents,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { socket } = connection;
    return new Promise<boolean>((resolve, reject) => {
      const finish = (settle: () => void) => {
        signal?.removeEventListener('abort', abort);
        connection.receive = connection.fail = () => {};
        settle();
      };
      const fail = (error: Error) => {
        socket.destroy();
        finish(() => reject(error));
      };
      const abort = () =>
        fail(
          signal?.reason instanceof Error ? signal.reason : new LeatError('interrupted', 'the read was interrupted'),
        );
      const parser = new ResponseParser({
        onHead: events.onHead.bind(events),
        onBody: events.onBody.bind(events),
        onEnd(canReuse) {
          events.onEnd(canReuse);
          finish(() => resolve(canReuse));
        },
      });
      const guarded = (act: () => void) => {
        try {
          act();
        } catch (error) {
          fail(error instanceof Error ? error : new Error(String(error)));
        }
      };
      connection.receive = (bytes) => guarded(() => parser.feed(bytes));
      connection.fail = fail;
      connection.ended = () => guarded(() => parser.close());
      signal?.addEventListener('abort', abort, { once: true });
      socket.write(request);
    });
  }

  #putBack(connection: Connection, canReuse: boolean): void {
    connection.isUsed = true;
    if (!canReuse || this.#isClosed || connection.socket.destroyed) connection.socket.destroy();
    else this.#idle.push(connection);
  }

  #proxy(): net.NetConnectOpts | undefined {
    return proxyFor(this.#address);
  }

  async #connect(signal: AbortSignal | undefined): Promise<Connection> {
    const connection: Connection = {
      socket: undefined as unknown as net.Socket,
      isUsed: false,
      receive: () => {},
      fail: () => {},
      ended: () => {},
    };
    const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    const onread = {
      buffer,
      callback: (length: number, bytes: Uint8Array) => {
        connection.receive(bytes.subarray(0, length) as Buffer);
        return true;
      },
    };
    const socket = await this.#openSocket(onread, (bytes) => connection.receive(bytes), signal);
    Object.assign(connection, { socket });
    socket.setNoDelay(true);
    socket.setTimeout(this.#limits.timeoutMs, () => {
      socket.destroy(new LeatError('unavailable', `${this.#name()}: no answer for ${this.#limits.timeoutMs} ms`));
    });
    socket.on('error', (error) => connection.fail(error));
    socket.on('end', () => connection.ended());
    socket.on('close', () => {
      const at = this.#idle.indexOf(connection);
      if (at >= 0) this.#idle.splice(at, 1);
      if (this.#buffers.length < this.#limits.connections) this.#buffers.push(buffer);
      connection.fail(new LeatError('unavailable', `${this.#name()}: the connection was closed`));
    });
    setTimeout(() => this.#dropIdle(connection), IDLE_KEEP_MS).unref();
    return connection;
  }

  /** A connection that nobody wants for a while goes before the server drops it under a request. */
  #dropIdle(connection: Connection): void {
    if (connection.socket.destroyed) return;
    if (this.#idle.includes(connection) && !connection.isUsed) connection.socket.destroy();
    connection.isUsed = false;
    setTimeout(() => this.#dropIdle(connection), IDLE_KEEP_MS).unref();
  }

  async #openSocket(
    onread: net.OnReadOpts,
    receive: (bytes: Buffer) => void,
    signal: AbortSignal | undefined,
  ): Promise<net.Socket> {
    const { isTls, host, port } = this.#address;
    const proxy = this.#proxy();
    const options = { host, port, servername: net.isIP(host) ? '' : host, ...this.#authorities() };
    if (!isTls) return established(net.connect({ ...(proxy ?? { host, port }), onread }), 'connect', signal);
    if (!proxy)
      return established(tls.connect({ ...options, onread } as tls.ConnectionOptions), 'secureConnect', signal);
    const tunnel = await openTunnel(proxy, `${host}:${port}`, signal);
    const socket = tls.connect({ ...options, socket: tunnel }); // over a socket of ours Node ignores `onread`
    socket.on('data', receive);
    return established(socket, 'secureConnect', signal);
  }

  #authorities(): { ca?: string[] } {
    if (this.#address.caFile === undefined) return {};
    return { ca: [...tls.rootCertificates, readFileSync(this.#address.caFile, 'utf8')] };
  }

  #name(): string {
    return `${this.#address.isTls ? 'https' : 'http'}://${this.#address.host}:${this.#address.port}`;
  }
}

function established<Socket extends net.Socket>(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal | undefined,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      socket.destroy();
      reject(new LeatError('interrupted', 'the read was interrupted while it connected'));
    };
    signal?.addEventListener('abort', abort, { once: true });
    socket.once('error', reject);
    socket.once(event, () => {
      signal?.removeEventListener('abort', abort);
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

async function openTunnel(
  proxy: net.NetConnectOpts,
  target: string,
  signal: AbortSignal | undefined,
): Promise<net.Socket> {
  const socket = await established(net.connect(proxy), 'connect', signal);
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  let head = '';
  for (; !head.includes('\r\n\r\n');) {
    const [bytes] = (await new Promise((resolve, reject) => {
      socket.once('data', (...args) => resolve(args));
      socket.once('close', () => reject(new LeatError('unavailable', `the proxy closed the tunnel to ${target}`)));
    })) as [Buffer];
    head += bytes.toString('latin1');
  }
  if (/^HTTP\/1\.[01] 200/.test(head)) return socket;
  socket.destroy();
  throw new LeatError('unavailable', `the proxy refused a tunnel to ${target}: ${head.split('\r\n')[0]}`);
}
