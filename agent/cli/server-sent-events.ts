import { LeatError } from '#shared/model/faults.ts';

/** A block of `text/event-stream`. One without data only moves the reader's cursor on. */
export interface ServerSentEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
}

const BLOCK_CHARS_MAX = 1 << 20;

/** The blocks of a body, as they come. */
export async function* serverSentEvents(body: ReadableStream<Uint8Array> | null): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body ?? []) {
    const blocks = (rest + decoder.decode(piece, { stream: true })).split('\n\n');
    rest = blocks.pop() ?? '';
    if (rest.length > BLOCK_CHARS_MAX)
      throw new LeatError('unavailable', 'the stream of events holds one without an end');
    yield* blocks.map(parsed);
  }
}

function parsed(block: string): ServerSentEvent {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    // A colon in front marks a comment.
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''));
  }
  return { event: fields.get('event') ?? 'message', id: fields.get('id'), data: fields.get('data') ?? '' };
}
