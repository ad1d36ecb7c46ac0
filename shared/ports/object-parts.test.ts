import fc from 'fast-check';
import { expect, it } from 'vitest';
import { OBJECT_BYTES_MAX, partAt, partRange, partsOf, partWithin } from './object-parts.ts';

const MIB = 1 << 20;
const PARTS_MAX = 10_000;

it('holds to the limits of S3, up to the largest object', () => {
  expect(partsOf(OBJECT_BYTES_MAX)).toBeLessThanOrEqual(PARTS_MAX);
  expect(partRange(1)).toEqual({ offset: 0, length: 8 * MIB });
  for (let part = 1; part < PARTS_MAX; part++) {
    const { offset, length } = partRange(part);
    const isSound = length >= 5 * MIB && length <= 5120 * MIB && length % MIB === 0;
    expect(isSound && partRange(part + 1).offset === offset + length, `part ${part}`).toBe(true);
  }
});

it('finds the part of each byte, and how many an object has', () => {
  expect(partsOf(0)).toBe(0);
  const near = fc
    .record({ part: fc.integer({ min: 1, max: PARTS_MAX }), by: fc.integer({ min: -1, max: 1 }) })
    .map(({ part, by }) => Math.max(0, partRange(part).offset + by));
  fc.assert(
    fc.property(fc.oneof(near, fc.integer({ min: 0, max: OBJECT_BYTES_MAX })), (byte) => {
      const part = partAt(byte);
      const { offset, length } = partRange(part);
      const last = partWithin(part, byte + 1);
      return (
        offset <= byte && byte < offset + length && partsOf(byte + 1) === part && last.offset + last.length === byte + 1
      );
    }),
  );
});
