import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { isFault, LeatError } from '../model/faults.ts';
import { type Proxy, proxyFor } from './proxy.ts';
import { isCertificateRefused, socketCode } from './retry.ts';

const CONNECT_MS_MAX = 5000;
const TUNNEL_HEAD_BYTES_MAX = 16 * 1024;

export interface ServerAddress {
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
  /** PEM file of the authority that signs the server, beside the usual ones. */
  readonly caFile?: string;
}

/** Where bytes that come go, and who is told of them: what `net.connect` calls `onread`. */
export interface OnRead {
  /** The room for the next ones. */
  readonly buffer: () => Uint8Array;
  readonly callback: (length: number, room: Uint8Array) => boolean;
}

/** Where a server is, and the way there. */
export class HttpServer {
  readonly name: string;
  readonly proxy: Proxy | undefined;
  readonly #address: ServerAddress;
  readonly #connectMs: number;
  readonly #authorities: { readonly ca?: string[] };
  /** The last TLS session: the next connection resumes it, for a fraction of a handshake's CPU. */
  #session: Buffer | undefined;

  constructor(address: ServerAddress, timeoutMs: number) {
    const { isTls, host, port, caFile } = address;
    this.#address = address;
    this.#connectMs = Math.min(CONNECT_MS_MAX, timeoutMs);
    this.#authorities = caFile === undefined ? {} : { ca: trustedAuthorities(caFile) };
    this.name = `${isTls ? 'https' : 'http'}://${host}:${port}`;
    this.proxy = proxyFor(address);
  }

  /** True when requests go to a proxy that forwards them, and so name the server in their first line. */
  get isForwarded(): boolean {
    return this.proxy !== undefined && !this.#address.isTls;
  }

  /** A connection over which requests may be sent. */
  async connect(onread: OnRead, signal?: AbortSignal): Promise<net.Socket> {
    try {
      return await this.#connect(onread, signal);
    } catch (error) {
      throw this.#explained(error);
    }
  }

  async #connect(onread: OnRead, signal?: AbortSignal): Promise<net.Socket> {
    const { isTls, host, port } = this.#address;
    const { host: proxyHost, port: proxyPort } = this.proxy ?? {};
    const way = proxyPort === undefined ? { host, port } : { host: proxyHost, port: proxyPort };
    const wait = { limitMs: this.#connectMs, signal };
    if (!isTls) return established(net.connect({ ...way, onread }), 'connect', wait);
    const options = {
      host,
      port,
      ...(net.isIP(host) === 0 && { servername: host }),
      ...(this.#session && { session: this.#session }),
      ...this.#authorities,
    };
    if (!this.proxy) return this.#secured(tls.connect({ ...options, onread } as tls.ConnectionOptions), wait);
    const socket = tls.connect({ ...options, socket: await this.#tunnel(this.proxy, wait) });
    // Over a socket that it is given Node ignores `onread`.
    socket.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length && !socket.destroyed;) {
        const room = onread.buffer();
        const length = bytes.copy(room, 0, at);
        onread.callback(length, room);
        at += length;
      }
    });
    return this.#secured(socket, wait);
  }

  #secured(socket: tls.TLSSocket, wait: Wait): Promise<net.Socket> {
    socket.on('session', (session: Buffer) => {
      this.#session = session;
    });
    return established(socket, 'secureConnect', wait);
  }

  async #tunnel(proxy: Proxy, wait: Wait): Promise<net.Socket> {
    const target = `${this.#address.host}:${this.#address.port}`;
    const socket = await established(net.connect({ host: proxy.host, port: proxy.port }), 'connect', wait);
    const authorization = proxy.authorization ? `Proxy-Authorization: ${proxy.authorization}\r\n` : '';
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorization}\r\n`);
    const head = await tunnelAnswer(socket, wait);
    if (/^HTTP\/1\.[01] 200/.test(head)) return socket;
    socket.destroy();
    const said = head.split('\r\n')[0] || 'it closed the connection';
    throw new LeatError('unavailable', `the proxy refused a tunnel to ${target}: ${said}`);
  }

  #explained(error: unknown): unknown {
    if (isFault(error, 'interrupted')) return error;
    const via = this.proxy ? ` through the proxy ${this.proxy.host}:${this.proxy.port}` : '';
    const why = isCertificateRefused(error)
      ? `its certificate is not trusted (${socketCode(error)}); name the authority that signed it with s3.ca-file`
      : (socketCode(error) ?? (error as Error).message);
    return new LeatError('unavailable', `${this.name}${via}: ${why}`, { cause: error });
  }
}

/** What Node trusts (NODE_EXTRA_CA_CERTS included), and the authority in the file. */
export function trustedAuthorities(caFile: string): string[] {
  try {
    return [...tls.getCACertificates('default'), readFileSync(caFile, 'utf8')];
  } catch (error) {
    throw new LeatError('invalid', `s3.ca-file=${caFile}: cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

interface Wait {
  readonly limitMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Waits for an event of a socket; whatever hinders it destroys the socket. */
function established<Socket extends net.Socket>(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  { limitMs, signal }: Wait,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const finish = (error?: Error) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.off('error', finish).off('close', closed).off(event, succeed);
      socket.on('error', () => {}); // so that an error between two listeners does not end the process
      if (!error) return resolve(socket);
      socket.destroy();
      reject(error);
    };
    const succeed = () => finish();
    const closed = () => finish(new LeatError('unavailable', 'the connection was closed before it was made'));
    const abort = () => finish(new LeatError('interrupted', 'the read was interrupted while it connected'));
    const timer = setTimeout(() => finish(new LeatError('unavailable', `no connection after ${limitMs} ms`)), limitMs);
    socket.once('error', finish).once('close', closed).once(event, succeed);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
  });
}

/** The head of the proxy's answer; empty when it closed the connection or took too long. */
function tunnelAnswer(socket: net.Socket, { limitMs, signal }: Wait): Promise<string> {
  return new Promise((resolve, reject) => {
    let head = '';
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.off('data', receive).off('close', ended).off('error', ended).pause();
      settle();
    };
    const ended = () => finish(() => resolve(''));
    const abort = () => {
      socket.destroy();
      finish(() => reject(new LeatError('interrupted', 'the read was interrupted while it connected')));
    };
    const receive = (bytes: Buffer) => {
      head += bytes.toString('latin1');
      if (head.includes('\r\n\r\n') || head.length > TUNNEL_HEAD_BYTES_MAX) finish(() => resolve(head));
    };
    const timer = setTimeout(ended, limitMs);
    socket.on('data', receive).once('close', ended).once('error', ended);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
