import { Readable } from 'node:stream';
import type { PartSource } from '../ports/under-store.ts';

/** What the maker of a body threw. It is the caller's own, and must neither be retried nor explained. */
export class StoppedBody extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('the body of a request stopped');
    this.reason = reason;
  }
}

type Send<Answer> = (body: Readable, abortSignal: AbortSignal) => Promise<Answer>;

/** One try. The SDK looks at no error of a stream, so one is kept here, and ends the request. */
export async function sendOnce<Answer>(
  source: PartSource,
  signal: AbortSignal | undefined,
  send: Send<Answer>,
): Promise<Answer> {
  const broken = new AbortController();
  let stopped: StoppedBody | undefined;
  const body = new PipedBody(source, (error) => {
    stopped = new StoppedBody(error);
    broken.abort();
  });
  try {
    return await send(body, signal ? AbortSignal.any([signal, broken.signal]) : broken.signal);
  } catch (error) {
    throw stopped ?? error;
  } finally {
    body.destroy();
  }
}

/**
 * A stream as far as the SDK uses it: it pipes a body into its request. No piece is asked for before the one before has left, so that its
 * maker can use the same memory again; a stream's own buffers would keep it, and a GiB of new ones costs more than to send it.
 */
class PipedBody extends Readable {
  readonly #source: PartSource;
  readonly #failed: (error: unknown) => void;
  readonly #ended: Promise<boolean>;

  constructor(source: PartSource, failed: (error: unknown) => void) {
    super();
    this.#source = source;
    this.#failed = failed;
    this.#ended = new Promise((resolve) => this.once('close', () => resolve(false)));
  }

  override pipe<Request extends NodeJS.WritableStream>(request: Request): Request {
    void this.#send(request);
    return request;
  }

  override _read(): void {
    this.#failed(new Error('the SDK has another way with bodies than it had'));
  }

  async #send(request: NodeJS.WritableStream): Promise<void> {
    try {
      for await (const piece of exactly(this.#source)) {
        const left = new Promise<boolean>((resolve) => {
          request.write(piece, (error) => resolve(!error));
        });
        if (!(await Promise.race([left, this.#ended]))) return;
      }
      request.end();
    } catch (error) {
      this.#failed(error);
    }
  }
}

async function* exactly(source: PartSource): AsyncGenerator<Uint8Array> {
  let left = source.length;
  for await (const piece of source.pieces()) {
    left -= piece.length;
    if (left < 0) break;
    yield piece;
  }
  if (left !== 0) throw new Error(`a part of ${source.length} bytes came with ${source.length - left}`);
}
