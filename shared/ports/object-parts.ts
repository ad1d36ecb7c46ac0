import type { ByteRange } from './under-store.ts';

/**
 * The parts of an upload lie at fixed places, so that any of them can be put before it is known how large the object will be.
 * S3 takes 10,000 parts of 5 MiB to 5 GiB: the first are small, because most files are, and each thousand is twice as large as the
 * one before. That reaches 5 TiB with the 9,282nd.
 */
const PART_BYTES_FIRST = 8 << 20;
const PARTS_OF_A_SIZE = 1000;

/** The largest object of S3. */
export const OBJECT_BYTES_MAX = 5 * 2 ** 40;

/** Where a part lies; parts count from 1. Of the last part of an object only what lies within the object is put. */
export function partRange(part: number): ByteRange {
  const before = part - 1;
  const doublings = Math.floor(before / PARTS_OF_A_SIZE);
  const length = PART_BYTES_FIRST * 2 ** doublings;
  const smaller = PARTS_OF_A_SIZE * PART_BYTES_FIRST * (2 ** doublings - 1);
  return { offset: smaller + (before % PARTS_OF_A_SIZE) * length, length };
}

/** The part in which a byte lies. */
export function partAt(offset: number): number {
  let first = 1;
  for (;;) {
    const next = partRange(first + PARTS_OF_A_SIZE);
    if (offset < next.offset) break;
    first += PARTS_OF_A_SIZE;
  }
  const { offset: start, length } = partRange(first);
  return first + Math.floor((offset - start) / length);
}

/** How many parts an object of this size has. One of no bytes has none. */
export function partsOf(size: number): number {
  return size === 0 ? 0 : partAt(size - 1);
}

/** What of a part lies within an object of this size. */
export function partWithin(part: number, size: number): ByteRange {
  const { offset, length } = partRange(part);
  return { offset, length: Math.max(0, Math.min(length, size - offset)) };
}
