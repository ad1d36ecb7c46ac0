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

/** The bytes of some spans, one after the other, however often they are asked for. */
export function spanSource(place: Place, content: LocalBytes, spans: readonly Span[]): PartSource {
  return {
    length: spans.reduce((sum, { length }) => sum + length, 0),
    async *pieces() {
      for (const { from, offset, length } of spans) {
        for (let at = offset; at < offset + length; at += PIECE_BYTES) {
          const range = { offset: at, length: Math.min(PIECE_BYTES, offset + length - at) };
          yield from === 'file' ? await fromFile(content.fd, range) : await fromBase(place, content, range);
        }
      }
    },
  };
}

/** What lies behind the end of the file is a hole: who has cut it off meanwhile has changed it, and that is found out. */
async function fromFile(fd: number, { offset, length }: ByteRange): Promise<Uint8Array> {
  const piece = Buffer.allocUnsafeSlow(length);
  for (let filled = 0; filled < length;) {
    const { bytesRead } = await readAt(fd, piece, filled, length - filled, offset + filled);
    if (bytesRead === 0) return piece.fill(0, filled);
    filled += bytesRead;
  }
  return piece;
}

async function fromBase(place: Place, { base }: LocalBytes, { offset, length }: ByteRange): Promise<Uint8Array> {
  const piece = Buffer.alloc(length);
  const there = Math.min(length, (base?.size ?? 0) - offset);
  if (!base || there <= 0) return piece;
  try {
    await readInto(piece, place, { range: { offset, length: there }, fingerprint: base.fingerprint });
    return piece;
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

export async function bytesOf({ pieces }: PartSource): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces()) all.push(piece);
  return Buffer.concat(all);
}
