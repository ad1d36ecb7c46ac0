import { lstat, mkdir, readdir, readlink, rename, rmdir, stat, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fuseMissing } from '#agent/fuse/mountpoint.ts';
import { ROOT_USER, path } from '../support/namespace.ts';
import { sharedTable } from '../support/hot-mounts.ts';

const LONG_MS = 60_000;
const SHORT_MS = 300;
const FEED_MS = 20;
const FILES = 50;

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;
const seen = (at: string) => lstat(at).then(() => 'there', codeOf);

describe.skipIf(fuseMissing() !== undefined)('two mounts on one table', () => {
  let table: Awaited<ReturnType<typeof sharedTable>>;
  let feedMs: number | undefined;
  beforeEach(async () => {
    feedMs = FEED_MS;
    table = await sharedTable({ feedMs: () => feedMs });
    await table.writer.mkdir(ROOT_USER, path('/d/e'), { mode: 0o755, parents: true });
    for (let i = 0; i < FILES; i++) await table.writer.symlink(ROOT_USER, path(`/d/f${i}`), `target ${i}`);
  });
  afterEach(() => table.end());

  it('show what the table has', async () => {
    const { at } = await table.agent({ leaseMs: LONG_MS });
    expect(await readdir(at)).toEqual(['d']);
    expect(await readdir(join(at, 'd'))).toHaveLength(FILES + 1);
    expect(await readlink(join(at, 'd/f7'))).toBe('target 7');
    expect(await seen(join(at, 'd/none'))).toBe('ENOENT');
    const inodes = await Promise.all(
      Array.from({ length: FILES }, (_, i) => lstat(join(at, `d/f${i}`), { bigint: true })),
    );
    expect(new Set(inodes.map(({ ino }) => ino)).size).toBe(FILES);
  });

  it('show on one what is made, renamed and removed on the other, though the kernel may remember for long', async () => {
    const [a, b] = [await table.agent({ leaseMs: LONG_MS }), await table.agent({ leaseMs: LONG_MS })];
    expect(await readdir(join(b.at, 'd/e'))).toEqual([]);
    expect(await seen(join(b.at, 'd/f1'))).toBe('there');
    await mkdir(join(a.at, 'd/e/new'), { mode: 0o750 });
    await expect.poll(() => readdir(join(b.at, 'd/e'))).toEqual(['new']);
    expect((await stat(join(b.at, 'd/e/new'))).mode & 0o777).toBe(0o750);
    await rename(join(a.at, 'd/f1'), join(a.at, 'd/e/new/g'));
    await expect.poll(() => seen(join(b.at, 'd/f1'))).toBe('ENOENT');
    expect(await readlink(join(b.at, 'd/e/new/g'))).toBe('target 1');
    await rename(join(a.at, 'd/e'), join(a.at, 'moved'));
    await expect.poll(() => seen(join(b.at, 'd/e'))).toBe('ENOENT');
    expect(await readdir(join(b.at, 'moved/new'))).toEqual(['g']);
    await unlink(join(b.at, 'moved/new/g'));
    await rmdir(join(b.at, 'moved/new'));
    await expect.poll(() => seen(join(a.at, 'moved/new'))).toBe('ENOENT');
    expect(await readdir(join(a.at, 'moved'))).toEqual([]);
  });

  it('show at once what was done on the same', async () => {
    const { at } = await table.agent({ leaseMs: LONG_MS });
    expect(await seen(join(at, 'd/new'))).toBe('ENOENT');
    for (let i = 0; i < 10; i++) {
      await mkdir(join(at, 'd/new'));
      expect(await seen(join(at, 'd/new'))).toBe('there');
      expect(await readdir(join(at, 'd'))).toContain('new');
      await rename(join(at, 'd/new'), join(at, 'd/newer'));
      expect([await seen(join(at, 'd/new')), await seen(join(at, 'd/newer'))]).toEqual(['ENOENT', 'there']);
      await rmdir(join(at, 'd/newer'));
      expect(await seen(join(at, 'd/newer'))).toBe('ENOENT');
      await symlink('to', join(at, 'd/new'));
      expect(await readlink(join(at, 'd/new'))).toBe('to');
      await unlink(join(at, 'd/new'));
      expect(await readdir(join(at, 'd'))).not.toContain('new');
    }
  });

  it('see what others have changed when the lease ends, if the feed tells nothing', async () => {
    const { at } = await table.agent({ leaseMs: SHORT_MS });
    const look = async () => [
      await readdir(join(at, 'd/e')),
      await readdir(join(at, 'd')),
      await seen(join(at, 'd/f1')),
    ];
    await look();
    feedMs = undefined;
    await table.writer.remove(ROOT_USER, path('/d/f1'), 'file');
    await table.writer.mkdir(ROOT_USER, path('/d/e/new'), { mode: 0o755 });
    await sleep(SHORT_MS * 0.7);
    // It may still be told of the old rows, but must not believe them for a lease more.
    await look();
    await sleep(SHORT_MS * 0.4);
    expect(await seen(join(at, 'd/f1'))).toBe('ENOENT');
    expect(await readdir(join(at, 'd/e'))).toEqual(['new']);
  });

  it('ask the table nothing about what they know', async () => {
    const { at, hot, askedSince } = await table.agent({ leaseMs: LONG_MS });
    const names = (await readdir(join(at, 'd'))).filter((name) => name.startsWith('f'));
    await Promise.all(names.map((name) => lstat(join(at, 'd', name))));
    expect(askedSince()).toBeGreaterThan(0);
    // The kernel forgets, the hot tier knows.
    for (let i = 0; i < 3; i++) {
      expect(await readdir(join(at, 'd'))).toHaveLength(FILES + 1);
      expect(await Promise.all(names.map((name) => readlink(join(at, 'd', name))))).toHaveLength(FILES);
      expect(await seen(join(at, `d/none ${i}`))).toBe('ENOENT');
    }
    expect(askedSince()).toBe(0);
    hot.clear();
    expect(await seen(join(at, 'd/none at all'))).toBe('ENOENT');
    expect(askedSince()).toBeGreaterThan(0);
  });
});
