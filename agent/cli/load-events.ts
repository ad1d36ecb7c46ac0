import { z } from 'zod';
import { type FaultKind, LeatError, faultKinds } from '#shared/model/faults.ts';

const Kind = z.enum(faultKinds as [FaultKind, ...FaultKind[]]);
const Progress = z.object({
  filesFound: z.number(),
  filesLoaded: z.number(),
  bytesFound: z.number(),
  bytesLoaded: z.number(),
  filesFailed: z.number(),
});
const Failure = z.object({ path: z.string(), kind: Kind, message: z.string() });
const End = z.object({ kind: Kind, message: z.string() });

export type LoadEvent = z.infer<typeof Progress> | z.infer<typeof Failure>;

/** The lines that `load` answers with; a line that says why everything ended is thrown. */
export async function* loadEvents(body: ReadableStream<Uint8Array> | null): AsyncGenerator<LoadEvent> {
  for await (const line of linesOf(body)) {
    const event = z.union([Progress, Failure, End]).parse(JSON.parse(line));
    if ('kind' in event && !('path' in event)) throw new LeatError(event.kind, event.message);
    yield event;
  }
}

async function* linesOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body ?? []) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line !== '');
  }
}
