import { describe, expect, it } from 'vitest';
import { sequentialId } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import { pathOf, statfsOf, statOf, timesIn } from './wire.ts';

const INODE: Inode = {
  kind: 'file',
  id: sequentialId(2 ** 40 + 7),
  mode: 0o640,
  uid: 1,
  gid: 2,
  size: 5 * 2 ** 40 + 3,
  atime: 1_764_123_456_789_012_345n,
  mtime: -1n,
  ctime: 0n,
  version: 1,
  generation: 1,
};

describe('what goes to libfuse', () => {
  it('has sizes and times in two halves, an inode number of 32 bits, and no time before 1970', () => {
    const ints = statOf(INODE);
    const long = (at: number) => (ints[at] ?? 0) + (ints[at + 1] ?? 0) * 2 ** 32;
    expect([ints[0], ints[1], ints[2], ints[6], ints[7]]).toEqual([0o100640, 1, 2, 1, 7]);
    expect([long(3), long(12), long(14), long(16)]).toEqual([INODE.size, 1_764_123_456_789, 0, 0]);
    expect(statOf({ ...INODE, id: sequentialId(2 ** 32) })[7]).toBe(1);
  });

  it('counts blocks that are as large as it takes', () => {
    expect(statfsOf({ total: 2 ** 40, free: 2 ** 39, files: 10, filesFree: 5 }).slice(0, 5)).toEqual(
      new Uint32Array([4096, 4096, 2 ** 28, 2 ** 27, 2 ** 27]),
    );
    expect(statfsOf({ total: 2 ** 50, free: 0, files: 2 ** 40, filesFree: 0 }).slice(0, 4)).toEqual(
      new Uint32Array([2 ** 19, 2 ** 19, 2 ** 31, 0]),
    );
  });
});

describe('what comes from libfuse', () => {
  it('is no path when something of it was lost', () => {
    expect(pathOf('/naïve')).toBe('/na\u00c3\u00afve');
    expect(() => pathOf('/\uFFFD')).toThrow('not UTF-8');
    expect(() => pathOf(`/${'x'.repeat(256)}`)).toThrow('255');
  });

  it('has the modification time beside the access time, unless it is laid out otherwise', () => {
    const native = Buffer.alloc(200);
    native.writeBigInt64LE(5_000_000_001n, 104);
    native.writeBigInt64LE(-7n, 112);
    const words = [5_000_000_001 % 2 ** 32, 1];
    expect(timesIn(native, words)).toEqual({ atime: 5_000_000_001_000_000n, mtime: -7_000_000n });
    expect(timesIn(native, [9, 0])).toEqual({ atime: 9_000_000n, mtime: 9_000_000n });
  });
});
