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

/** One try. The SDK looks at no error of a stream, so one is taken out of it here, and ends the request. */
export async function sendOnce<Answer>(
  source: PartSource,
  signal: AbortSignal | undefined,
  send: Send<Answer>,
): Promise<Answer> {
  const broken = new AbortController();
  let stopped: StoppedBody | undefined;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      yield* exactly(source);
    } catch (error) {
      stopped = new StoppedBody(error);
      broken.abort();
    }
  }
  const body = Readable.from(pieces());
  try {
    return await send(body, signal ? AbortSignal.any([signal, broken.signal]) : broken.signal);
  } catch (error) {
    throw stopped ?? error;
  } finally {
    body.destroy();
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
