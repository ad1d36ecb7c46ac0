import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const KIB = 1024;
const READER = join(import.meta.dirname, '../support/cache-reader.ts');
const run = promisify(execFile);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leat-cache-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** The reader in a process that the shell has put a limit on. */
async function readUnder(limit: string, sizes: readonly number[]) {
  const command = [process.execPath, READER, `${dir}/cache`, ...sizes].join(' ');
  const { stdout } = await run('sh', ['-c', `${limit}; exec ${command}`]);
  return JSON.parse(stdout) as { wrong: number; kept: number; complaints: number };
}

describe('a process short of', () => {
  it('nothing keeps everything', async () => {
    expect(await readUnder(':', [100 * KIB, 3000 * KIB])).toMatchObject({ wrong: 0, complaints: 0 });
  });

  it('descriptors reads everything right, keeps what it can, and says so', async () => {
    const sizes = Array.from({ length: 100 }, (_, i) => (1 + (i % 3)) * 500 * KIB);
    const { wrong, kept, complaints } = await readUnder('ulimit -n 50', sizes);
    expect(wrong).toBe(0);
    expect(kept).toBeGreaterThan(0);
    expect(complaints).toBeGreaterThan(0);
  });

  it('disk space reads everything right', async () => {
    // Files may grow to 512 KiB: the first writes go well, then the file system refuses, as a full one does.
    const { wrong, complaints } = await readUnder('ulimit -f 1024', [100 * KIB, 700 * KIB, 3000 * KIB]);
    expect(wrong).toBe(0);
    expect(complaints).toBeGreaterThan(0);
  });

  it('directories to write to reads everything right, and heals', async () => {
    mkdirSync(`${dir}/cache`);
    writeFileSync(`${dir}/cache/identity`, 'short');
    for (const shard of ['01', '02']) writeFileSync(`${dir}/cache/${shard}`, 'in the way');
    const sizes = [100 * KIB, 3000 * KIB];
    const { wrong, kept } = await readUnder(':', sizes);
    expect({ wrong, kept }).toEqual({ wrong: 0, kept: 0 });
    for (const shard of ['01', '02']) rmSync(`${dir}/cache/${shard}`);
    expect(await readUnder(':', sizes)).toMatchObject({ wrong: 0, kept: 3100 * KIB, complaints: 0 });
  });
});
