import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalFile, readTrailer } from './local-file.ts';
import { PAGE_BYTES, PageMap } from './page-map.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leat-cache-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('a local file', () => {
  it('keeps its descriptor until the last read on it is done', async () => {
    const file = LocalFile.create(`${dir}/sub/short`);
    file.write(new Uint8Array(100), 0);
    // The kernel has not all of it in memory, because there is no more of it: these reads go through libuv.
    const reads = [0, 50].map(async (offset) => file.read(new Uint8Array(200), offset));
    expect(file.reading).toBe(true);
    file.retire();
    const other = LocalFile.create(`${dir}/other`);
    other.write(new Uint8Array(100), 0);
    expect(await Promise.all(reads)).toEqual([100, 50]);
    expect(file.reading).toBe(false);
    other.retire();
  });

  it('frees pages without touching the map behind the last one', () => {
    const size = 2 * PAGE_BYTES + 5000;
    const map = new PageMap(3);
    const file = LocalFile.createPart(`${dir}/a.part`, size, map);
    map.add(0);
    file.writeMapByte(size, map, 0);
    expect(file.punch({ first: 1, end: 3 }, size)).toBe(true);
    expect(readTrailer(`${dir}/a.part`)).toMatchObject({ size, open: true, map });
    file.retire();
  });

  it('is another file when it is created again', () => {
    const first = LocalFile.create(`${dir}/a`);
    first.write(Buffer.from('old'), 0);
    const second = LocalFile.create(`${dir}/a`);
    second.write(Buffer.from('new'), 0);
    const into = Buffer.alloc(3);
    expect(first.read(into, 0)).toBe(3);
    expect(into.toString()).toBe('old');
    first.retire();
    second.retire();
  });
});
