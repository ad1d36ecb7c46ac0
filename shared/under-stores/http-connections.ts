import { LeatError } from '../model/faults.ts';
import { HttpConnection, type Pulse } from './http-connection.ts';
import { HEAD_BYTES_MAX, PIECE_BYTES_MAX, type ResponseEvents } from './http-response.ts';
import { HttpServer, type ServerAddress } from './http-socket.ts';

const BUFFER_BYTES = HEAD_BYTES_MAX + PIECE_BYTES_MAX;
const IDLE_MS_MAX = 4000;
const SWEEP_MS = 2000;
/** Far more than anything asks for at once; a caller without a limit of its own is told. */
const WAITING_MAX = 100_000;

export interface Limits {
  readonly connections: number;
  /** Without a byte for this long the connection is given up. */
  readonly timeoutMs: number;
}

/**
 * A bounded set of connections to one server. Each reads into one buffer of its own, again and again (`onread`): the garbage
 * that ordinary clients make of every read costs several times what the reading does.
 */
export class HttpConnections {
  readonly server: HttpServer;
  readonly #limits: Limits;
  readonly #idle: HttpConnection[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #buffers: Buffer[] = [];
  readonly #pulse: Pulse = { heardMs: 0 };
  #taken = 0;
  #isClosed = false;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(address: ServerAddress, limits: Limits) {
    this.server = new HttpServer(address, limits.timeoutMs);
    this.#limits = limits;
  }

  /** Sends a request without a body and feeds the response to `events`; throws when the connection breaks before its end. */
  async exchange(request: string, events: ResponseEvents, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw interrupted();
    if (this.#taken < this.#limits.connections) this.#taken++;
    else await this.#turn(signal);
    try {
      while (!(await this.#sent(request, events, signal)));
    } finally {
      this.#pass();
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#sweeper);
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  /** False when the server had closed the connection just as it was used again, which says nothing of the server's health. */
  async #sent(request: string, events: ResponseEvents, signal?: AbortSignal): Promise<boolean> {
    const connection = this.#idle.pop() ?? (await this.#connect(signal));
    const { isUsed } = connection;
    const abort = () => connection.destroy(interrupted());
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    try {
      const canReuse = await connection.exchange(request, events);
      this.#putBack(connection, canReuse);
      return true;
    } catch (error) {
      if (isUsed && connection.wasDropped && !signal?.aborted) return false;
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * Waits for a connection to come free. As long as any of them hears something that may take its time; when none does, the
   * server is gone, and those who wait need not stand in line to be told.
   */
  #turn(signal?: AbortSignal): Promise<void> {
    if (this.#waiting.size >= WAITING_MAX)
      throw new LeatError('contended', `${this.server.name}: over ${WAITING_MAX} requests wait for a connection`);
    return new Promise<void>((resolve, reject) => {
      const { timeoutMs, connections } = this.#limits;
      const leave = (settle: () => void) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#waiting.delete(waiting);
        settle();
      };
      const waiting = () => leave(resolve);
      const abort = () => leave(() => reject(interrupted()));
      const judge = () => {
        if (this.#pulse.heardMs > performance.now() - timeoutMs) return void timer.refresh();
        const why = `none of ${connections} connections has heard anything for ${timeoutMs} ms`;
        leave(() => reject(new LeatError('unavailable', `${this.server.name}: ${why}`)));
      };
      const timer = setTimeout(judge, timeoutMs);
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.add(waiting);
    });
  }

  /** The turn goes to whoever has waited longest. */
  #pass(): void {
    for (const next of this.#waiting) return next();
    this.#taken--;
  }

  async #connect(signal?: AbortSignal): Promise<HttpConnection> {
    const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    const giveBack = () => {
      if (this.#buffers.length < this.#limits.connections) this.#buffers.push(buffer);
      this.#sweepLater();
    };
    try {
      const connection: HttpConnection = await HttpConnection.open(this.server, {
        buffer,
        pulse: this.#pulse,
        timeoutMs: this.#limits.timeoutMs,
        signal,
        onClose: () => {
          const at = this.#idle.indexOf(connection);
          if (at >= 0) this.#idle.splice(at, 1);
          giveBack();
        },
      });
      return connection;
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  #putBack(connection: HttpConnection, canReuse: boolean): void {
    if (!canReuse || this.#isClosed) return connection.destroy();
    connection.idleSinceMs = performance.now();
    this.#idle.push(connection);
    this.#sweepLater();
  }

  #sweepLater(): void {
    if (this.#isClosed) return;
    this.#sweeper ??= setTimeout(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** A connection that nobody wants for a while goes before the server drops it under a request, and memory goes with it. */
  #sweep(): void {
    this.#sweeper = undefined;
    const oldest = performance.now() - IDLE_MS_MAX;
    for (const connection of this.#idle.filter(({ idleSinceMs }) => idleSinceMs < oldest)) {
      connection.destroy();
    }
    if (this.#taken === 0 && this.#idle.length === 0) this.#buffers.length = 0;
    else this.#sweepLater();
  }
}

const interrupted = (): LeatError => new LeatError('interrupted', 'the read was interrupted');
