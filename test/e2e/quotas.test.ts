import {
  mkdir,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMBEDDED, homeOf, LIBFUSE } from '../support/bindings.ts';
import { cliOn } from '../support/cli.ts';
import { type MountStage, openMountStage } from '../support/mounted.ts';

/** Node has no name for it. */
const EDQUOT = { errno: -constants.errno.EDQUOT };
const KIB = 1024;

for (const binding of [EMBEDDED, { ...EMBEDDED, name: 'embedded, in the heap', set: { metastore: 'heap' } }, LIBFUSE])
  describe.runIf(binding.isThere)(`quotas at a mount, ${binding.name}`, () => {
    const home = homeOf(binding);
    let stage: MountStage;
    let source: string;
    let leat: ReturnType<typeof cliOn>;
    const at = (name: string) => join(stage.at, name);

    beforeEach(async () => {
      stage = await openMountStage(home);
      source = await mkdtemp(join(stage.folder, 'source-'));
      await stage.start([`s=${source}`], { set: binding.set });
      leat = cliOn(stage.data);
      await mkdir(at('d'));
    });
    afterEach(() => stage.clear());

    it('refuse entries over the limit, and tell df -i', async () => {
      expect(await leat('quota', 'set', '/d', '--entries', '3')).toEqual({
        code: 0,
        stdout: '/d                   0 B, 0 of 3 entries\n',
        stderr: '',
      });
      await mkdir(at('d/a'));
      await symlink('a', at('d/b'));
      await writeFile(at('d/a/c'), '');
      await expect(mkdir(at('d/x'))).rejects.toMatchObject(EDQUOT);
      await expect(symlink('x', at('d/a/x'))).rejects.toMatchObject(EDQUOT);
      await expect(writeFile(at('d/x'), '')).rejects.toMatchObject(EDQUOT);
      expect(await statfs(at('d/a'))).toMatchObject({ files: 3, ffree: 0 });
      await mkdir(at('full'));
      for (const name of ['a', 'b']) await writeFile(at(`full/${name}`), '');
      await expect(rename(at('full'), at('d/full'))).rejects.toMatchObject(EDQUOT);
      expect((await leat('quota', 'set', '/d', '--entries', '6')).code).toBe(0);
      await rename(at('full'), at('d/full'));
      expect((await leat('fs', 'mkdir', '/d/x')).stderr).toMatch(/^leat: \/d\/x: would make 7 of the 6 entries/);
    });

    it.each(['d', 's/d'])('refuse bytes over the limit, in %s, and tell df', async (directory) => {
      await mkdir(at(directory), { recursive: true });
      const file = at(`${directory}/f`);
      expect((await leat('quota', 'set', `/${directory}`, '--bytes', '64KiB')).code).toBe(0);
      await writeFile(file, Buffer.alloc(16 * KIB, 'a'));
      expect(await statfs(at(directory))).toMatchObject({ bsize: 4096, blocks: 16, bavail: 12 });
      await expect(writeFile(at(`${directory}/g`), Buffer.alloc(100 * KIB))).rejects.toMatchObject(EDQUOT);
      await unlink(at(`${directory}/g`));
      const writing = await open(file, 'r+');
      await expect(writing.truncate(65 * KIB)).rejects.toMatchObject(EDQUOT);
      await expect(writing.write(Buffer.alloc(1), 0, 1, 64 * KIB)).rejects.toMatchObject(EDQUOT);
      await writing.write(Buffer.from('z'), 0, 1, 64 * KIB - 1);
      await writing.close();
      expect((await stat(file)).size).toBe(64 * KIB);
      expect(await statfs(at(directory))).toMatchObject({ bavail: 0 });
      await expect(writeFile(at(`${directory}/h`), 'x')).rejects.toMatchObject(EDQUOT);
      await truncate(file, 1);
      await writeFile(at(`${directory}/h`), 'x'.repeat(63 * KIB));
      expect(await readFile(file, 'utf8')).toBe('a');
    });
  });

describe('quotas at a mount', () => {
  let stage: MountStage;
  let leat: ReturnType<typeof cliOn>;
  const at = (name: string) => join(stage.at, name);

  beforeEach(async () => {
    stage = await openMountStage();
    leat = cliOn(stage.data);
  });
  afterEach(() => stage.clear());

  it('last when the agent starts again, and are listed and taken away', async () => {
    const first = await stage.start([]);
    await mkdir(at('d/e'), { recursive: true });
    await leat('quota', 'set', '/d', '--entries', '2', '--bytes', '1MiB');
    await leat('quota', 'set', '/d/e', '--entries', '1', '--json');
    await writeFile(at('d/e/f'), 'four');
    await first.kill();
    await stage.start([]);
    await expect(writeFile(at('d/g'), '')).rejects.toMatchObject(EDQUOT);
    expect(
      (await leat('quota', 'ls', '--json')).stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { path: '/d', entries: 2, bytes: 2 ** 20, usedEntries: 2, usedBytes: 4 },
      { path: '/d/e', entries: 1, usedEntries: 1, usedBytes: 4 },
    ]);
    expect(await leat('quota', 'rm', '/d')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await leat('quota', 'ls', '/')).stdout).toBe('/d/e                 4 B, 1 of 1 entries\n');
    expect((await leat('quota', 'rm', '/d')).stderr).toMatch(/\/d: has no quota of its own/);
    await writeFile(at('d/g'), '');
    await expect(writeFile(at('d/e/g'), '')).rejects.toMatchObject(EDQUOT);
    await rm(at('d'), { recursive: true });
    expect((await leat('quota', 'ls')).stdout).toBe('');
  });

  it('leave df to the store of each path and, where there is none, to the local disk and cache.size', async () => {
    const source = await mkdtemp(join(stage.folder, 'source-'));
    await stage.start([`s=${source}`], { set: { 'cache.size': '1GiB' } });
    const [root, store, disk] = await Promise.all([stage.at, at('s'), source].map((path) => statfs(path)));
    expect(store?.blocks).toBe(disk?.blocks);
    expect((root?.blocks ?? 0) * (root?.bsize ?? 0)).toBe(2 ** 30);
  });
});
