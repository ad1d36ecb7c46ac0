import { closeSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InodeId } from '#shared/model/ids.ts';
import { sequentialId } from '#shared/model/ids.ts';
import { keyOfFile, openSealed, partPath, sealedPath, SYNCED_STAMP, UNSYNCED_STAMP } from './sealed.ts';

const key = { id: sequentialId(0xabc), generation: 12 };

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leat-cache-'));
  mkdirSync(dirname(sealedPath(dir, key)));
});
afterEach(() => rmSync(dir, { recursive: true }));

function opens(mtime: number, size = 5): boolean {
  writeFileSync(sealedPath(dir, key), 'bytes');
  utimesSync(sealedPath(dir, key), mtime, mtime);
  const fd = openSealed(dir, key, size);
  if (fd !== undefined) closeSync(fd);
  return fd !== undefined;
}

describe('a seal', () => {
  it('is one of two times', () => {
    expect([SYNCED_STAMP, UNSYNCED_STAMP].map((stamp) => opens(stamp))).toEqual([true, true]);
    expect([SYNCED_STAMP - 1, SYNCED_STAMP + 0.001, Date.now() / 1000].map((time) => opens(time))).toEqual([
      false,
      false,
      false,
    ]);
  });

  it('holds for the right size only', () => expect(opens(SYNCED_STAMP, 6)).toBe(false));

  it('of an absent file is broken', () => expect(openSealed(dir, key, 5)).toBeUndefined());
});

describe('file names', () => {
  it('spread over directories, and lead back to the key', () => {
    expect(sealedPath('/c', key)).toBe('/c/bc/000000000abc-12');
    expect(partPath('/c', key)).toBe('/c/bc/000000000abc-12.part');
    for (const name of ['000000000abc-12', '000000000abc-12.part']) expect(keyOfFile(name)).toEqual(key);
  });

  it('serve ids of any length', () => {
    const long = { id: '\xff\0'.repeat(8) as InodeId, generation: 0 };
    expect(keyOfFile(sealedPath('', long).slice(4))).toEqual(long);
  });

  it('of strangers are not taken for ours', () => {
    for (const name of ['', 'abc', 'ABCD-1', '00-x', '00-1.tmp', '000-1']) expect(keyOfFile(name)).toBeUndefined();
  });
});
