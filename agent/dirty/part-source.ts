import { read } from 'node:fs';
import { promisify } from 'node:util';
import { isFault, LeatError } from '#shared/model/faults.ts';
import type { Fingerprint, StoreKey } from '#shared/model/inode.ts';
import type { ByteRange, PartSource, UnderStore } from '#shared/ports/under-store.ts';
import type { BytesRange } from './base-blocks.ts';
import { type LocalContent, spansOf } from './local-content.ts';

/** What is read at once. With the parts that are in flight it says how much memory an upload takes. */
const PIECE_BYTES = 512 * 1024;

const readAt = promisify(read);

export interface Place {
  readonly store: UnderStore;
  readonly key: StoreKey;
  readonly signal?: AbortSignal;
}

type LocalBytes = Omit<LocalContent, 'size'>;

/** The bytes of a range, however often they are asked for. All pieces lie in the same memory. */
export function rangeSource(place: Place, content: LocalBytes, { offset, length }: BytesRange): PartSource {
  return {
    length,
    async *pieces() {
      const memory = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, length));
      for (let at = offset; at < offset + length; at += PIECE_BYTES) {
        const piece = memory.subarray(0, Math.min(PIECE_BYTES, offset + length - at));
        await readPiece(place, content, { piece, at });
        yield piece;
      }
    },
  };
}

interface Piece {
  readonly piece: Uint8Array;
  readonly at: number;
}

/** All that is missing here is asked for at once, with what lies between: a request for each run of it would take longer. */
async function readPiece(place: Place, content: LocalBytes, { piece, at }: Piece): Promise<void> {
  const spans = spansOf({ offset: at, length: piece.length }, content.base?.blocks);
  const missing = spans.filter(({ from }) => from === 'base');
  const [first, last] = [missing[0], missing.at(-1)];
  if (first && last) {
    const wanted = piece.subarray(first.offset - at, last.offset + last.length - at);
    await fromBase(place, content, { piece: wanted, at: first.offset });
  }
  for (const { from, offset, length } of spans) {
    if (from === 'file') await fromFile(content.fd, piece.subarray(offset - at, offset + length - at), offset);
  }
}

/** What lies behind the end is a hole. Who has cut a file off meanwhile has changed it, and that is found out. */
async function fromFile(fd: number, piece: Uint8Array, at: number): Promise<void> {
  let filled = 0;
  while (filled < piece.length) {
    const { bytesRead } = await readAt(fd, piece, filled, piece.length - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  piece.fill(0, filled);
}

async function fromBase(place: Place, { base }: LocalBytes, { piece, at }: Piece): Promise<void> {
  const length = Math.min(piece.length, (base?.blocks.baseBytes ?? 0) - at);
  if (!base || length <= 0) return void piece.fill(0);
  try {
    const filled = await readInto(piece, place, { range: { offset: at, length }, fingerprint: base.fingerprint });
    piece.fill(0, filled);
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
