import {
  appendFile,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cliOn } from '../support/cli.ts';
import { HAS_PYTHON, run } from '../support/run.ts';
import { type MountStage, openMountStage } from '../support/mounted.ts';

const MIB = 1 << 20;
const others = Array.from({ length: 16 }, (_, i) => `other-${i}`);
const SOON = { timeout: 20_000 };

describe('a file of a mounted folder that is open for writing', () => {
  let stage: MountStage;
  let source: string;
  const at = (name: string) => join(stage.at, name);
  const kept = (name: string) => join(source, name);
  async function enter(): Promise<void> {
    stage = await openMountStage();
    source = join(stage.folder, 'source');
    await mkdir(source);
  }
  beforeEach(async () => {
    await enter();
    await stage.start([source], { args: ['--sync', '100ms'] });
  });
  afterEach(() => stage.clear());

  it('goes on under another name, and comes to the folder under that', async () => {
    for (const isThere of [false, true]) {
      await writeFile(at('log'), 'first');
      if (isThere) await writeFile(at('log.1'), 'of yesterday');
      await expect.poll(() => readFile(kept('log'), 'utf8'), SOON).toBe('first');
      const file = await open(at('log'), 'a');
      await rename(at('log'), at('log.1'));
      await expect.poll(() => readFile(kept('log.1'), 'utf8').catch(String), SOON).toBe('first');
      const { ino, mtimeNs } = await stat(at('log.1'), { bigint: true });
      expect(mtimeNs).toBe((await file.stat({ bigint: true })).mtimeNs);
      await file.write(', second');
      await file.close();
      expect((await stat(at('log.1'), { bigint: true })).ino).toBe(ino);
      expect(await readFile(at('log.1'), 'utf8')).toBe('first, second');
      await expect.poll(() => readFile(kept('log.1'), 'utf8'), SOON).toBe('first, second');
    }
    expect(await readdir(source)).toEqual(['log.1']);
  });

  it('is kept beside another content that a listing has told of since', async () => {
    await writeFile(kept('f'), 'first');
    await expect.poll(() => readFile(at('f'), 'utf8').catch(String), SOON).toBe('first');
    const file = await open(at('f'), 'r+');
    await writeFile(kept('f'), 'theirs');
    // To who has it open it is as he opened it.
    const told = async () => (await readdir(at(''))) && (await cliOn(stage.data)('fs', 'stat', '/f', '--json')).stdout;
    await expect.poll(told, SOON).toMatch(/"size": ?6\b/);
    await file.write('MINE!');
    await expect(file.close()).rejects.toMatchObject({ errno: -116 });
    const names = async () => (await readdir(source)).toSorted();
    await expect.poll(names, SOON).toEqual(['f', expect.stringMatching(/^f\.conflict-/)]);
    const [theirs = '', mine = ''] = await names();
    expect(await readFile(kept(theirs), 'utf8')).toBe('theirs');
    expect(await readFile(kept(mine), 'utf8')).toBe('MINE!');
    expect(await readFile(at(mine), 'utf8')).toBe('MINE!');
  });

  it('keeps its time when what only its store has of it is fetched, because one of its names goes', async () => {
    await stage.clear();
    await enter();
    await writeFile(kept('large'), Buffer.alloc(3 * MIB + 7, 'x'));
    await stage.start([source], { set: { 'cache.size': '3MiB' } });
    await using file = await open(at('large'), 'r+');
    const { mtimeNs } = await file.stat({ bigint: true });
    await link(at('large'), at('other'));
    await unlink(at('other'));
    expect((await file.stat({ bigint: true })).mtimeNs).toBe(mtimeNs);
    expect((await readFile(at('large'))).equals(Buffer.alloc(3 * MIB + 7, 'x'))).toBe(true);
  });

  it('is given up in a small cache, as far as its store has it, when others close it', async () => {
    await stage.clear();
    await enter();
    const expected = Buffer.alloc(6 * MIB, 'x');
    await writeFile(kept('large'), expected);
    await stage.start([source], { set: { 'cache.size': '4MiB' } });
    await using file = await open(at('large'), 'r+');
    const isAsExpected = async () => {
      const bytes = Buffer.alloc(expected.length);
      for (let read = 0; read < bytes.length;) read += (await file.read(bytes, read, MIB, read)).bytesRead;
      return bytes.equals(expected);
    };
    for (let offset = 3; offset < expected.length; offset += MIB / 4) {
      const length = MIB / 8;
      expected.fill(`${offset}`, offset, offset + length);
      const other = await open(at('large'), 'r+');
      await other.write(expected, offset, length, offset);
      await other.close();
      await file.write(expected, offset + length, 1, offset + length);
    }
    expect(await isAsExpected()).toBe(true);
    await unlink(at('large'));
    expect(await isAsExpected()).toBe(true);
  });

  it('shows what is only in its store after others have cut it and closed it', async () => {
    await stage.clear();
    await enter();
    await writeFile(kept('large'), Buffer.alloc(6 * MIB, 'x'));
    await stage.start([source], { set: { 'cache.size': '4MiB' } });
    await using file = await open(at('large'), 'r+');
    await truncate(at('large'), 2.5 * MIB);
    await using other = await open(at('large'), 'r+');
    await other.write('y', 0);
    await other.close();
    const bytes = Buffer.alloc(MIB);
    expect((await file.read(bytes, 0, MIB, 2 * MIB)).bytesRead).toBe(MIB / 2);
    expect(bytes.subarray(0, MIB / 2).equals(Buffer.alloc(MIB / 2, 'x'))).toBe(true);
  });

  it.skipIf(!HAS_PYTHON)(
    'is mapped where it is written, while the kernel reads it from a small cache by itself',
    async () => {
      await stage.clear();
      await enter();
      await writeFile(kept('mapped'), Buffer.alloc(MIB + 1, 'x'));
      await stage.start([source], { set: { 'cache.size': '3MiB' } });
      expect(await readFile(at('mapped'))).toHaveLength(MIB + 1);
      await using file = await open(at('mapped'));
      expect((await file.read(Buffer.alloc(9), 0, 9, 0)).bytesRead).toBe(9);
      const code = `import mmap\nwith open(${JSON.stringify(at('mapped'))}, 'r+b') as f:\n  m = mmap.mmap(f.fileno(), 0)\n  m[:4] = b'here'\n  m.flush()`;
      await run('python3', ['-c', code]);
      expect((await readFile(at('mapped'))).subarray(0, 6).toString()).toBe('herexx');
      await expect.poll(async () => (await readFile(kept('mapped'))).subarray(0, 6).toString(), SOON).toBe('herexx');
    },
  );

  it('shows what is written to it to who has had it open before, however much has been read since', async () => {
    await stage.clear();
    await enter();
    for (const name of ['log', ...others]) await writeFile(kept(name), Buffer.alloc(MIB));
    await stage.start([source], { set: { 'cache.size': '8MiB' } });
    await using file = await open(at('log'));
    expect((await file.read(Buffer.alloc(9), 0, 9, 0)).bytesRead).toBe(9);
    for (const name of others) expect(await readFile(at(name))).toHaveLength(MIB);
    await appendFile(at('log'), 'more');
    expect((await file.read(Buffer.alloc(9), 0, 9, MIB)).buffer.subarray(0, 4).toString()).toBe('more');
  });
});
