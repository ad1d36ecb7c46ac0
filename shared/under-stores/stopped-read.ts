import type { Sink } from '../ports/under-store.ts';

/** Wraps what a sink threw, which is the caller's own and must neither be retried nor explained. */
export class StoppedRead extends Error {
  constructor(cause: unknown) {
    super('the reader stopped', { cause });
  }
}

export function handOver(sink: Sink, bytes: Uint8Array): void {
  try {
    sink(bytes);
  } catch (error) {
    throw new StoppedRead(error);
  }
}
