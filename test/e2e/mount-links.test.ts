import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import {
  link,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMBEDDED, homeOf, JOINED, LIBFUSE } from '../support/bindings.ts';
import { type MountStage, openMountStage } from '../support/mounted.ts';

const exec = promisify(execFile);
/** What a store is owed is done behind. */
const SOON = { timeout: 20_000 };
const isRoot = process.getuid?.() === 0;
const NAMESPACES = [
  EMBEDDED,
  { ...EMBEDDED, name: 'embedded, in the heap', set: { metastore: 'heap' } },
  LIBFUSE,
  JOINED,
];

async function sh(command: string, cwd: string): Promise<string> {
  return (await exec('sh', ['-ec', command], { cwd, timeout: 30_000 })).stdout.trim();
}

for (const binding of NAMESPACES)
  describe.runIf(binding.isThere)(`names in a mounted folder, ${binding.name}`, () => {
    const home = homeOf(binding);
    let stage: MountStage;
    let source: string;
    const at = (name: string) => join(stage.at, name);

    beforeEach(async () => {
      stage = await openMountStage(home);
      source = await mkdtemp(join(stage.folder, 'source-'));
      await writeFile(join(source, 'a'), 'this is a');
      await mkdir(join(source, 'd'));
      await stage.start([source]);
    });
    afterEach(() => stage.clear());

    it('counts the names of a file, whichever goes and whoever has it open', async () => {
      await link(at('a'), at('d/b'));
      await link(at('d/b'), at('c'));
      const [first, second] = [await stat(at('a')), await stat(at('d/b'))];
      expect([first.nlink, second.nlink, second.ino]).toEqual([3, 3, first.ino]);
      const file = await open(at('c'));
      await unlink(at('a'));
      expect((await file.stat()).nlink).toBe(2);
      expect((await stat(at('d/b'))).nlink).toBe(2);
      expect(await readFile(at('d/b'), 'utf8')).toBe('this is a');
      await rename(at('d/b'), at('moved'));
      await unlink(at('c'));
      expect((await file.stat()).nlink).toBe(1);
      await sh('chmod 600 moved && test "$(stat -c %a moved)" = 600', stage.at);
      await unlink(at('moved'));
      expect((await file.stat()).nlink).toBe(0);
      await file.close();
      await expect.poll(() => readdir(source), SOON).toEqual(['d']);
    });

    it('is one file under all names: what is changed under one is seen under the others', async () => {
      await sh('ln a d/b && chmod 640 d/b && touch -d 2001-01-01 a', stage.at);
      const [a, b] = [await stat(at('a')), await stat(at('d/b'))];
      expect([a.mode & 0o777, b.mode & 0o777, b.mtimeMs, b.ino]).toEqual([0o640, 0o640, a.mtimeMs, a.ino]);
      await expect(link(at('d'), at('e'))).rejects.toMatchObject({ code: 'EPERM' });
      await expect(link(at('a'), at('d/b'))).rejects.toMatchObject({ code: 'EEXIST' });
      await symlink('a', at('s'));
      await link(at('s'), at('t'));
      expect((await lstat(at('t'))).nlink).toBe(2);
      await rename(at('a'), at('d/b'));
      expect((await readdir(stage.at)).toSorted()).toEqual(['a', 'd', 's', 't']);
      await unlink(at('a'));
      expect(await readFile(at('d/b'), 'utf8')).toBe('this is a');
      await expect.poll(() => readdir(join(source, 'd')), SOON).toEqual(['b']);
    });

    it('writes under one name and reads under another, and goes on writing what has lost its name', async () => {
      await link(at('a'), at('b'));
      const file = await open(at('a'), 'r+');
      await file.write('THIS', 0);
      expect(await readFile(at('b'), 'utf8')).toBe('THIS is a');
      await unlink(at('a'));
      await file.write('HERE', 0);
      await file.close();
      expect(await readFile(at('b'), 'utf8')).toBe('HERE is a');
      expect((await stat(at('b'))).nlink).toBe(1);
      await writeFile(at('b'), 'anew');
      await expect.poll(() => readFile(join(source, 'b'), 'utf8').catch(() => ''), SOON).toBe('anew');
      await expect.poll(() => readdir(source), SOON).toEqual(['b', 'd']);
    });

    it('keeps hard links when trees are copied, packed and unpacked', async () => {
      const made = await sh(
        `mkdir t && cd t && cp ../a one && ln one two && mkdir sub && ln one sub/three && ln -s one s && mkfifo p && cd ..
         cp -a t copy && tar cf - t | (mkdir out && tar xf - -C out)
         for each in t copy out/t; do stat -c %h $each/one $each/sub/three $each/p; done | tr '\\n' ' '
         diff -r --no-dereference -x p t copy && diff -r --no-dereference -x p t out/t && test -p out/t/p && echo same`,
        stage.at,
      );
      expect(made).toBe(`${'3 3 1 '.repeat(3)}same`);
      await sh('rm -r t copy out', stage.at);
    });

    it('has pipes and sockets, by which processes of this machine speak', async () => {
      const heard = sh('mkfifo -m 600 pipe; cat < pipe & echo spoken > pipe; wait', stage.at);
      expect(await heard).toBe('spoken');
      expect((await stat(at('pipe'))).isFIFO()).toBe(true);
      const server = createServer((socket) => socket.end('answer')).listen(at('socket'));
      await new Promise((resolve) => server.once('listening', resolve));
      expect((await stat(at('socket'))).isSocket()).toBe(true);
      await new Promise((resolve) => server.close(resolve));
      expect((await readdir(stage.at, { withFileTypes: true })).find(({ name }) => name === 'pipe')?.isFIFO()).toBe(
        true,
      );
      await rename(at('pipe'), at('d/pipe'));
      await rm(at('d/pipe'));
    });

    it.runIf(isRoot)('has device nodes, which root makes', async () => {
      await sh('mknod -m 600 null c 1 3 && mknod disk b 259 300', stage.at);
      expect(await sh('stat -c "%F %t %T" null disk', stage.at)).toBe(
        'character special file 1 3\nblock special file 103 12c',
      );
    });
  });

describe('names after a restart', () => {
  let stage: MountStage;
  afterEach(() => stage.clear());

  it('are what they were', async () => {
    stage = await openMountStage(homeOf(EMBEDDED));
    const source = await mkdtemp(join(stage.folder, 'source-'));
    await writeFile(join(source, 'a'), 'this is a');
    const daemon = await stage.start([source]);
    await sh('ln a b && ln b c && rm a && mkfifo p', stage.at);
    await daemon.stop();
    await stage.start([source]);
    expect(await sh('stat -c "%h %F" b c p', stage.at)).toBe('2 regular file\n2 regular file\n1 fifo');
    expect(await readFile(join(stage.at, 'c'), 'utf8')).toBe('this is a');
    await sh('chmod 600 b && rm b', stage.at);
    expect(await sh('stat -c "%h %a" c', stage.at)).toBe('1 600');
    await expect.poll(() => readdir(source), SOON).toEqual(['c']);
  });
});
