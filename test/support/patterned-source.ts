import { setTimeout as sleep } from 'node:timers/promises';
import type { Fetch } from '#agent/cache/data-cache.ts';
import type { ByteRange } from '#shared/ports/under-store.ts';

/** The byte at an offset of the content `seed`: no two pages, and no two contents, look alike. */
function patternAt(seed: number, offset: number): number {
  return (Math.imul(offset ^ (offset >>> 11), 0x9e37_79b1) + Math.imul(seed, 0x85eb_ca6b)) >>> 24;
}

function pattern(seed: number, range: ByteRange): Uint8Array {
  const bytes = new Uint8Array(range.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = patternAt(seed, range.offset + i);
  return bytes;
}

/** True when `bytes` are what the content has at `offset`; a compare of its own, because matchers take seconds over megabytes. */
export function matches(bytes: Uint8Array, seed: number, offset: number): boolean {
  return bytes.every((byte, i) => byte === patternAt(seed, offset + i));
}

export interface PatternedSource {
  readonly fetch: Fetch;
  /** Every range that was asked for, in order. */
  readonly asked: ByteRange[];
  /** How many requests run now, and how many ran at once at most. */
  readonly running: { now: number; most: number };
}

export interface PatternedOptions {
  readonly seed: number;
  /** Throws to make the request fail; `sent` counts the bytes of this request that were handed over. */
  readonly strike?: (request: { number: number; range: ByteRange; sent: number }) => void;
  /** Bytes per call of the sink. */
  readonly chunk?: number;
  readonly delayMs?: number;
  /** Where the object really ends, if that is not where the reader believes. */
  readonly end?: number;
}

/** A store with one object, whose bytes are computed. It hands them over as a socket does: in small pieces, over many turns. */
export function patternedSource(options: PatternedOptions): PatternedSource {
  const { seed, strike, chunk = 256 * 1024, delayMs, end = Number.POSITIVE_INFINITY } = options;
  const asked: ByteRange[] = [];
  const running = { now: 0, most: 0 };
  const fetch: Fetch = async (range, sink, signal) => {
    const number = asked.push(range);
    running.most = Math.max(running.most, ++running.now);
    try {
      const limit = Math.min(range.offset + range.length, end);
      for (let at = range.offset; at < limit; at += chunk) {
        await (delayMs === undefined ? Promise.resolve() : sleep(delayMs));
        signal.throwIfAborted();
        strike?.({ number, range, sent: at - range.offset });
        sink(pattern(seed, { offset: at, length: Math.min(chunk, limit - at) }));
      }
    } finally {
      running.now--;
    }
  };
  return { fetch, asked, running };
}
