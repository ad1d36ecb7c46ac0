import {
  appendFile,
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DIRECT, EMBEDDED, homeOf, JOINED, LIBFUSE } from '../support/bindings.ts';
import { cliOn } from '../support/cli.ts';
import { openMountStage, type MountStage } from '../support/mounted.ts';
import { HAS_PYTHON, run } from '../support/run.ts';

/** What a store is owed is done behind. */
const SOON = { timeout: 20_000 };
const MIB = 1 << 20;
/** So long after a file is in its store, the agent has done with it. */
const SETTLED_MS = 200;
/** By its path: nobody opens it. */
const grow = (path: string) => run('python3', ['-c', `import os, sys; os.truncate(sys.argv[1], ${MIB})`, path]);
const isRoot = process.getuid?.() === 0;

const NAMESPACES = [
  EMBEDDED,
  { ...EMBEDDED, name: 'embedded, in the heap', set: { metastore: 'heap' } },
  LIBFUSE,
  JOINED,
  DIRECT,
];

for (const binding of NAMESPACES)
  describe.runIf(binding.isThere)(`a mounted folder, ${binding.name}`, () => {
    const home = homeOf(binding);
    let stage: MountStage;
    let source: string;
    const at = (name: string) => join(stage.at, name);
    const kept = (name: string) => join(source, name);

    beforeEach(async () => {
      stage = await openMountStage(home);
      source = await mkdtemp(join(stage.folder, 'source-'));
      for (const name of ['a', 'b', 'c']) await writeFile(kept(name), `this is ${name}`);
      await mkdir(kept('d/e'), { recursive: true });
      await writeFile(kept('d/e/f'), 'deep');
      await stage.start([source]);
    });
    afterEach(() => stage.clear());

    it('makes and removes directories, in the folder too', async () => {
      await mkdir(at('new/er'), { recursive: true, mode: 0o750 });
      expect((await stat(at('new/er'))).mode & 0o7777).toBe(0o750);
      await expect(mkdir(at('new'))).rejects.toMatchObject({ code: 'EEXIST' });
      await expect(rmdir(at('new'))).rejects.toMatchObject({ code: 'ENOTEMPTY' });
      await expect(rmdir(at('a'))).rejects.toMatchObject({ code: 'ENOTDIR' });
      await expect.poll(() => stat(kept('new/er')).then(Boolean, () => false), SOON).toBe(true);
      await rmdir(at('new/er'));
      await rmdir(at('new'));
      await expect(stat(at('new'))).rejects.toMatchObject({ code: 'ENOENT' });
      await expect.poll(() => readdir(source), SOON).toEqual(['a', 'b', 'c', 'd']);
    });

    it.skipIf(!HAS_PYTHON).each([
      { who: 'has read it', isOpen: false },
      { who: 'has it open', isOpen: true },
    ])('shows what a file has become, also to who $who', async ({ isOpen }) => {
      const size = () => stat(kept('new')).then((found) => found.size);
      await writeFile(at('new'), 'x'.repeat(299));
      await expect.poll(size, SOON).toBe(299);
      expect((await readFile(at('new'))).length).toBe(299);
      const before = isOpen ? await open(at('new')) : undefined;
      await writeFile(at('new'), '');
      await expect.poll(size, SOON).toBe(0);
      await sleep(SETTLED_MS);
      await grow(at('new'));
      await expect.poll(size, SOON).toBe(MIB);
      await sleep(SETTLED_MS);
      const grown = Buffer.alloc(MIB);
      expect((await readFile(at('new'))).equals(grown)).toBe(true);
      if (!before) return;
      expect((await before.readFile()).equals(grown)).toBe(true);
      await before.close();
      expect((await readFile(at('new'))).equals(grown)).toBe(true);
    });

    it('renames files and directories, within and across, replacing as POSIX says', async () => {
      await rename(at('a'), at('d/a'));
      expect(await readFile(at('d/a'), 'utf8')).toBe('this is a');
      await rename(at('b'), at('c'));
      expect(await readFile(at('c'), 'utf8')).toBe('this is b');
      await rename(at('d/e'), at('moved'));
      expect(await readFile(at('moved/f'), 'utf8')).toBe('deep');
      await expect(rename(at('d'), at('d/x'))).rejects.toMatchObject({ code: 'EINVAL' });
      await expect(rename(at('c'), at('d'))).rejects.toMatchObject({ code: 'EISDIR' });
      await expect(rename(at('moved'), at('d'))).rejects.toMatchObject({ code: 'ENOTEMPTY' });
      await expect
        .poll(async () => (await readdir(source, { recursive: true })).toSorted(), SOON)
        .toEqual(['c', 'd', 'd/a', 'moved', 'moved/f']);
      expect(await readFile(kept('c'), 'utf8')).toBe('this is b');
      expect(await readFile(kept('moved/f'), 'utf8')).toBe('deep');
    });

    it('keeps a file readable for who has it open, whatever becomes of its name', async () => {
      const file = await open(at('a'));
      await unlink(at('a'));
      await expect(stat(at('a'))).rejects.toMatchObject({ code: 'ENOENT' });
      expect((await file.stat()).size).toBe(9);
      expect(await file.readFile('utf8')).toBe('this is a');
      await file.close();
      const other = await open(at('b'));
      await rename(at('c'), at('b'));
      expect(await other.readFile('utf8')).toBe('this is b');
      await other.close();
      expect(await readFile(at('b'), 'utf8')).toBe('this is c');
    });

    it('tells who has it open what a file without a name has become', async () => {
      const file = await open(at('a'));
      const empty = await open(at('new'), 'w+');
      const reader = await open(at('new'));
      await empty.write('some bytes');
      for (const name of ['a', 'new']) await unlink(at(name));
      await empty.close();
      await sleep(SETTLED_MS);
      expect(await reader.stat()).toMatchObject({ size: 10, nlink: 0 });
      expect(await reader.readFile('utf8')).toBe('some bytes');
      await reader.close();
      await file.chmod(0o640);
      expect(await file.stat()).toMatchObject({ size: 9, nlink: 0, mode: 0o100640 });
      await file.close();
    });

    it('keeps a file readable that the cache drops while it is open, and fetches it again after', async () => {
      const file = await open(at('a'));
      expect(await cliOn(stage.data)('fs', 'free', '/')).toMatchObject({ code: 0 });
      expect(await file.readFile('utf8')).toBe('this is a');
      await file.close();
      expect(await readFile(at('a'), 'utf8')).toBe('this is a');
    });

    it('shows what a file has become whose cached copy was dropped while somebody has it open', async () => {
      const file = await open(at('a'));
      expect(await cliOn(stage.data)('fs', 'free', '/')).toMatchObject({ code: 0 });
      await appendFile(at('a'), ', and more');
      expect(await readFile(at('a'), 'utf8')).toBe('this is a, and more');
      await file.close();
      expect(await readFile(at('a'), 'utf8')).toBe('this is a, and more');
    });

    it('finds a symlink that comes back to its name, however its store counts versions', async () => {
      for (const name of ['one', 'two', 'three']) {
        await mkdir(at(name));
        await symlink('target', at(`${name}/link`));
        await rename(at(`${name}/link`), at(`d/link`));
        await rename(at(`d/link`), at(`${name}/link`));
        expect((await lstat(at(`${name}/link`))).isSymbolicLink()).toBe(true);
        await expect(lstat(at('d/link'))).rejects.toMatchObject({ code: 'ENOENT' });
      }
    });

    it('makes symlinks, and follows them', async () => {
      await symlink('d/e/f', at('link'));
      await symlink('nowhere', at('dangling'));
      expect(await readlink(at('link'))).toBe('d/e/f');
      expect(await readFile(at('link'), 'utf8')).toBe('deep');
      expect((await lstat(at('dangling'))).isSymbolicLink()).toBe(true);
      await expect(stat(at('dangling'))).rejects.toMatchObject({ code: 'ENOENT' });
      await expect.poll(() => readlink(kept('link')).catch(String), SOON).toBe('d/e/f');
    });

    it('changes modes and times', async () => {
      await chmod(at('a'), 0o640);
      await utimes(at('a'), 1000.25, 2000.5);
      const { mode, atimeMs, mtimeMs } = await stat(at('a'));
      expect([mode & 0o7777, atimeMs, mtimeMs]).toEqual([0o640, 1_000_250, 2_000_500]);
      await expect.poll(async () => (await stat(kept('a'))).mode & 0o7777, SOON).toBe(0o640);
      await expect.poll(async () => (await stat(kept('a'))).mtimeMs, SOON).toBe(2_000_500);
    });

    it.runIf(isRoot)('changes owners, which only root may', async () => {
      await chown(at('a'), 1234, 2345);
      expect(await stat(at('a'))).toMatchObject({ uid: 1234, gid: 2345 });
      await expect.poll(async () => (await stat(kept('a'))).uid, SOON).toBe(1234);
    });

    it.skipIf(!HAS_PYTHON)('keeps extended attributes', async () => {
      const python = async (code: string) => {
        const { stdout, stderr } = await run('python3', ['-c', `import os\np = ${JSON.stringify(at('a'))}\n${code}`]);
        return stdout.trim() + (/\[Errno \d+\]/.exec(stderr)?.[0] ?? '');
      };
      expect(
        await python(`os.setxattr(p, 'user.k', b'v'); print(os.getxattr(p, 'user.k'), os.listxattr(p))`),
      ).toContain(`b'v' ['user.k']`);
      expect(await python(`os.setxattr(p, 'user.k', b'w', os.XATTR_CREATE)`)).toContain('[Errno 17]');
      expect(await python(`os.removexattr(p, 'user.k'); print(os.listxattr(p))`)).toContain('[]');
      expect(await python(`os.getxattr(p, 'user.k')`)).toContain('[Errno 61]');
      expect(await python(`os.setxattr(p, 'system.x', b'')`)).toContain('[Errno 95]');
    });

    it('writes contents of files, which are in the folder when they are closed', async () => {
      await writeFile(at('a'), 'other');
      await writeFile(at('new'), 'made here', { mode: 0o640 });
      await writeFile(at('d/e/f'), ' and more', { flag: 'a' });
      expect(await readFile(kept('a'), 'utf8')).toBe('other');
      expect(await readFile(kept('new'), 'utf8')).toBe('made here');
      expect(await readFile(kept('d/e/f'), 'utf8')).toBe('deep and more');
      expect(await readFile(at('d/e/f'), 'utf8')).toBe('deep and more');
      expect((await stat(kept('new'))).mode & 0o7777).toBe(0o640);
      expect((await stat(at('new'))).size).toBe(9);
      const file = await open(at('a'), 'r+');
      await file.write('O', 0);
      await file.truncate(3);
      expect(await readFile(at('a'), 'utf8')).toBe('Oth');
      await file.close();
      expect(await readFile(kept('a'), 'utf8')).toBe('Oth');
    });

    it('sees at once what others change, however long the kernel may remember', async () => {
      const leat = cliOn(stage.data);
      expect(await readFile(at('a'), 'utf8')).toBe('this is a');
      expect(await readdir(at('d'))).toEqual(['e']);
      await leat('fs', 'rm', '/a');
      await expect.poll(() => readFile(at('a')).catch(({ code }: { code: string }) => code)).toBe('ENOENT');
      await leat('fs', 'mv', '/b', '/d/b');
      await expect.poll(() => readdir(at('d'))).toEqual(['b', 'e']);
      expect(await readFile(at('d/b'), 'utf8')).toBe('this is b');
      await writeFile(join(stage.folder, 'new'), 'other bytes');
      expect(await leat('fs', 'cp', `file:${join(stage.folder, 'new')}`, '/c')).toMatchObject({ code: 0 });
      await expect.poll(() => readFile(at('c'), 'utf8')).toBe('other bytes');
    });

    it('removes trees as rm does', async () => {
      await rm(at('d'), { recursive: true });
      expect(await readdir(stage.at)).toEqual(['a', 'b', 'c']);
      await expect.poll(() => readdir(source), SOON).toEqual(['a', 'b', 'c']);
    });

    it('tells df how large the disk behind the folder is', async () => {
      const [ours, theirs] = await Promise.all([stage.at, source].map((path) => run('df', ['-P', path])));
      const total = (text = '') => Number(text.split('\n')[1]?.split(/\s+/)[1]);
      expect(total(ours?.stdout)).toBe(total(theirs?.stdout));
    });
  });
