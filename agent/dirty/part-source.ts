import { read } from 'node:fs';
import { promisify } from 'node:util';
import { isFault, LeatError } from '#shared/model/faults.ts';
import type { Fingerprint, StoreKey } from '#shared/model/inode.ts';
import type { ByteRange, PartSource, UnderStore } from '#shared/ports/under-store.ts';
import type { LocalContent, Span } from './upload-plan.ts';

/** What is read at once. With the parts that are in flight it says how much memory an upload takes. */
const PIECE_BYTES = 512 * 1024;

const readAt = promisify(read);

export interface Place {
  readonly store: UnderStore;
  readonly key: StoreKey;
  readonly signal?: AbortSignal;
}

type LocalBytes = Omit<LocalContent, 'size'>;

/** The bytes of some spans, one after the other, however often they are asked for. All pieces lie in the same memory. */
export function spanSource(place: Place, content: LocalBytes, spans: readonly Span[]): PartSource {
  const length = spans.reduce((sum, span) => sum + span.length, 0);
  return {
    length,
    async *pieces() {
      const memory = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, length));
      for (const { from, offset, length: bytes } of spans) {
        for (let at = offset; at < offset + bytes; at += PIECE_BYTES) {
          const piece = memory.subarray(0, Math.min(PIECE_BYTES, offset + bytes - at));
          const filled = await (from === 'file'
            ? fromFile(content.fd, piece, at)
            : fromBase(place, content, { piece, at }));
          // What lies behind the end is a hole. Who has cut a file off meanwhile has changed it, and that is found out.
          yield piece.fill(0, filled);
        }
      }
    },
  };
}

async function fromFile(fd: number, piece: Uint8Array, at: number): Promise<number> {
  let filled = 0;
  while (filled < piece.length) {
    const { bytesRead } = await readAt(fd, piece, filled, piece.length - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

async function fromBase(
  place: Place,
  { base }: LocalBytes,
  { piece, at }: { readonly piece: Uint8Array; readonly at: number },
): Promise<number> {
  const length = Math.min(piece.length, (base?.size ?? 0) - at);
  if (!base || length <= 0) return 0;
  try {
    return await readInto(piece, place, { range: { offset: at, length }, fingerprint: base.fingerprint });
  } catch (error) {
    if (!isFault(error, 'notFound')) throw error;
    throw new LeatError('changed', error.message, { cause: error }); // removed is another version too
  }
}

/** Answers how many bytes there were. */
export async function readInto(
  buffer: Uint8Array,
  { store, key, signal }: Place,
  { range, fingerprint }: { readonly range: ByteRange; readonly fingerprint: Fingerprint },
): Promise<number> {
  let filled = 0;
  const sink = (piece: Uint8Array) => {
    buffer.set(piece, filled);
    filled += piece.length;
  };
  await store.read(key, range, sink, { fingerprint, ...(signal && { signal }) });
  return filled;
}

export async function bytesOf({ length, pieces }: PartSource): Promise<Uint8Array> {
  const all = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  for await (const piece of pieces()) {
    all.set(piece, filled);
    filled += piece.length;
  }
  return all;
}
