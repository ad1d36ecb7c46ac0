import { isFault, LeatError } from '#shared/model/faults.ts';
import { type Path, toText } from '#shared/model/names.ts';
import { mayAccess, READ } from '#shared/namespace/access.ts';
import type { Actor, Found } from '#shared/namespace/namespace.ts';
import type { ByteRange } from '#shared/ports/under-store.ts';
import type { ApiDeps } from './deps.ts';
import { rangeOf } from './range.ts';

/** An object that is overwritten all the time must not hold a request for ever. */
const ATTEMPTS_MAX = 3;

interface Wanted {
  readonly path: Path;
  /** The Range header. */
  readonly range: string | undefined;
  readonly signal: AbortSignal;
}

export interface Opened {
  readonly found: Found;
  readonly range: ByteRange | 'unsatisfiable' | undefined;
  readonly bytes: ReadableStream<Uint8Array>;
}

/**
 * Opens a file and gets its first piece before anything is answered: only then is it sure that the store still has this
 * version. If it has another, the row is brought in step and that one is opened instead.
 */
export async function openBytes(
  { namespace, content }: Pick<ApiDeps, 'namespace' | 'content'>,
  actor: Actor,
  { path, range: header, signal }: Wanted,
): Promise<Opened> {
  let found = await namespace.stat(actor, path, { follow: true });
  for (let attempt = 1; ; attempt++) {
    refuseUnreadable(actor, found);
    const range = rangeOf(header, found.inode.size);
    if (range === 'unsatisfiable')
      return { found, range, bytes: streamOf({ done: true, value: undefined }, undefined) };
    const part = range ?? { offset: 0, length: found.inode.size };
    const pieces = content.read(found, part, signal)[Symbol.asyncIterator]();
    try {
      return { found, range, bytes: streamOf(await pieces.next(), pieces) };
    } catch (error) {
      if (attempt >= ATTEMPTS_MAX || !isFault(error, 'changed', 'notFound')) throw error;
      found = await namespace.refresh(found.path, found.inode);
    }
  }
}

function refuseUnreadable(actor: Actor, { path, inode }: Found): void {
  if (inode.kind === 'directory') throw new LeatError('isDirectory', `${toText(path)} is a directory; list it instead`);
  if (!mayAccess(actor, inode, READ)) {
    throw new LeatError('denied', `${toText(path)}: its permissions do not let uid ${actor.uid} read it`);
  }
}

/** Not a generator: cancelling one that nobody has started would not release what it holds. */
function streamOf(
  first: IteratorResult<Uint8Array>,
  pieces: AsyncIterator<Uint8Array> | undefined,
): ReadableStream<Uint8Array> {
  let ready: IteratorResult<Uint8Array> | undefined = first;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const step = ready ?? (await pieces?.next());
        ready = undefined;
        if (!step || step.done) controller.close();
        else controller.enqueue(step.value);
      },
      async cancel() {
        await pieces?.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
