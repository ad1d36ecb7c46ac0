import { setTimeout as sleep } from 'node:timers/promises';
import { toLeatError } from '#shared/model/faults.ts';
import type { FileEvent, NamespaceEvent } from '#shared/feed/events.ts';

interface BlockOptions {
  /** What is shown of a file's event, as JSON. */
  readonly dataOf: (event: FileEvent) => object;
  /** How long the stream may be silent. */
  readonly pulseMs: number;
}

/** Blocks of `text/event-stream`: the events, and a comment where there has been none for a while. */
export async function* eventBlocks(
  events: AsyncIterable<NamespaceEvent>,
  { dataOf, pulseMs }: BlockOptions,
): AsyncGenerator<string> {
  const iterator = events[Symbol.asyncIterator]();
  // Where the reader is though nothing was shown: a block without data moves on its cursor.
  let passed: string | undefined;
  try {
    for (let next = iterator.next(); ;) {
      const result = await within(next, pulseMs);
      if (result === undefined) {
        yield `: keep-alive\n${idLine(passed)}\n`;
        passed = undefined;
        continue;
      }
      if (result.done) return;
      next = iterator.next();
      // Whether it fails is seen when it is awaited.
      next.catch(() => undefined);
      passed = result.value.what === 'passed' ? result.value.cursor : undefined;
      if (result.value.what !== 'passed') yield block(result.value, dataOf);
    }
  } catch (error) {
    const { kind, message } = toLeatError(error);
    yield `event: error\ndata: ${JSON.stringify({ kind, message })}\n\n`;
  }
}

/** Undefined when it takes longer. */
async function within<Value>(promise: Promise<Value>, ms: number): Promise<Value | undefined> {
  const over = new AbortController();
  try {
    return await Promise.race([promise, sleep(ms, undefined, { signal: over.signal })]);
  } finally {
    over.abort();
  }
}

function block(event: NamespaceEvent, dataOf: BlockOptions['dataOf']): string {
  const data = 'path' in event ? dataOf(event) : {};
  return `event: ${event.what}\n${idLine(event.cursor)}data: ${JSON.stringify(data)}\n\n`;
}

const idLine = (cursor: string | undefined): string => (cursor === undefined ? '' : `id: ${cursor}\n`);

/** At the pace of the reader; one that goes away ends what it followed, which may be waiting at that time. */
export function streamOf(blocks: AsyncGenerator<string>, ended: AbortController): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { value, done } = await blocks.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
      cancel: () => ended.abort(),
    },
    { highWaterMark: 0 },
  );
}
