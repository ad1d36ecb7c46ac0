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
  let saidAt = performance.now();
  try {
    for (let next = iterator.next(); ;) {
      const result = await within(next, Math.max(0, saidAt + pulseMs - performance.now()));
      if (result?.done) return;
      if (result) {
        next = iterator.next();
        // Whether it fails is seen when it is awaited.
        next.catch(() => undefined);
      }
      const event = result?.value;
      if (event && event.what !== 'passed') yield block(event, dataOf);
      else {
        passed = event?.cursor ?? passed;
        if (performance.now() < saidAt + pulseMs) continue;
        yield `: keep-alive\n${idLine(passed)}\n`;
      }
      passed = undefined;
      saidAt = performance.now();
    }
  } catch (error) {
    const { kind, message } = toLeatError(error);
    yield `event: error\ndata: ${JSON.stringify({ kind, message })}\n\n`;
  } finally {
    await iterator.return?.();
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

/** At the pace of the reader. `end` is called when it has had all, or goes away, and ends what it waits for. */
export function streamOf(blocks: AsyncGenerator<string>, end: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { value, done } = await blocks.next();
        if (!done) return controller.enqueue(encoder.encode(value));
        end();
        controller.close();
      },
      async cancel() {
        end();
        await blocks.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}
