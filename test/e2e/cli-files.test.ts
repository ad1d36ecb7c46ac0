import {
  chmod,
  lstat,
  mkdir,
  readFile,
  readdir,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BINDINGS, homeOf } from '../support/bindings.ts';
import { cliOn, openStage, type Stage } from '../support/cli.ts';

/** What a store is owed is done behind. */
const SOON = { timeout: 20_000 };
const OLD = new Date('2001-02-03T04:05:06Z');
const BIG = Buffer.alloc(3 * 2 ** 20 + 7, 'leat');
const ODD = ['a b', '%20', 'ü', '🌊', 'new\nline', '-r', '~', '\udc80'];

let stage: Stage;
let leat: ReturnType<typeof cliOn>;
const here = (...names: string[]) => join(stage.folder, ...names);
const mounted = (...names: string[]) => here('mnt', ...names);
const local = (name: string) => `file:${here(name)}`;
/** Byte names, as Leat shows them: what is not UTF-8 is a lone surrogate. */
const octets = (path: string) =>
  Buffer.concat(path.split('\udc80').flatMap((part, i) => [...(i > 0 ? [Buffer.of(0x80)] : []), Buffer.from(part)]));
const json = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line));

for (const binding of BINDINGS)
  describe.runIf(binding.isThere)(`the commands for files, ${binding.name}`, () => {
    const home = homeOf(binding);

    beforeAll(async () => {
      stage = await openStage(home);
      await mkdir(here('store', 'odd'), { recursive: true });
      await mkdir(here('store', 'tree', 'deep', 'deeper'), { recursive: true });
      await writeFile(here('store', 'hello'), 'hello\n', { mode: 0o640 });
      await utimes(here('store', 'hello'), OLD, OLD);
      await writeFile(here('store', 'empty'), '');
      await writeFile(here('store', 'tree', 'big'), BIG);
      await writeFile(here('store', 'tree', 'deep', 'deeper', 'leaf'), 'leaf');
      await symlink('hello', here('store', 'link'));
      await symlink('nowhere', here('store', 'tree', 'dangling'));
      for (const name of ODD) await writeFile(octets(here('store', 'odd', name)), name);
      await stage.up([local('store'), '--at', 'mnt']);
      leat = cliOn(here('data'));
    });
    afterAll(() => stage.clear());

    describe('fs ls and fs stat', () => {
      it('lists the root by itself, ascending by the bytes of the name', async () => {
        expect(await leat('fs', 'ls')).toEqual({ code: 0, stdout: 'empty\nhello\nlink\nodd\ntree\n', stderr: '' });
      });

      it('shows mode, owner, size, what is cached, and time', async () => {
        const { stdout } = await leat('fs', 'ls', '-l', '/');
        expect(stdout).toMatch(/^-rw-r----- +\d+ +\d+ +6 +\d+% 2001-02-03 04:05:06 hello$/m);
        expect(stdout).toMatch(/^-rw-r--r-- +\d+ +\d+ +0 +100% .* empty$/m);
        expect(stdout).toMatch(/^lrwxrwxrwx .* link -> hello$/m);
        expect(stdout).toMatch(/^drwxr-xr-x .* tree$/m);
      });

      it('shows files by themselves, and directories under their names when there are several', async () => {
        const { stdout } = await leat('fs', 'ls', '/hello', '/tree', '/tree/deep');
        expect(stdout).toBe('/hello\n\n/tree:\nbig\ndangling\ndeep\n\n/tree/deep:\ndeeper\n');
      });

      it('lists all below with -R', async () => {
        const { stdout } = await leat('fs', 'ls', '-R', '/tree');
        expect(stdout).toBe('/tree/big\n/tree/dangling\n/tree/deep\n/tree/deep/deeper\n/tree/deep/deeper/leaf\n');
      });

      it('tells programs everything, names that are not UTF-8 included', async () => {
        const entries = json((await leat('fs', 'ls', '--json', '/odd')).stdout);
        expect(entries.map(({ name }) => name)).toEqual(ODD.toSorted((a, b) => Buffer.compare(octets(a), octets(b))));
        const [hello] = json((await leat('fs', 'stat', '--json', '/hello')).stdout);
        const mtimeNs = `${OLD.getTime()}000000`;
        expect(hello).toMatchObject({ kind: 'file', mode: 0o640, size: 6, mtimeNs, storeKey: 'hello', path: '/hello' });
      });

      it('shows all that is known of a file, and a symlink itself', async () => {
        const { stdout } = await leat('fs', 'stat', '/hello', '/link');
        expect(stdout).toMatch(/^path +\/hello\nkind +file\nsize +6 bytes \(6 B\)\n/);
        expect(stdout).toMatch(/\n\npath +\/link\nkind +symlink\n/);
        expect(stdout).toMatch(/^target +hello$/m);
      });

      it.each([
        ['fs ls /nope', /\/nope: no such file or directory/],
        ['fs stat /hello/x', /\/hello/],
        ['fs cat /tree', /\/tree is a directory/],
        ['fs cat /tree/dangling', /no such file or directory/],
        ['fs load /nope', /\/nope: no such file/],
        ['fs free /nope', /\/nope: no such file/],
      ])('refuses `leat %s` in one line', async (words, reason) => {
        const { code, stderr } = await leat(...words.split(' '));
        expect(stderr).toMatch(reason);
        expect(stderr).toMatch(/^leat: [^\n]+\n$/);
        expect(code).toBe(1);
      });
    });

    describe('fs cat', () => {
      it('writes files one after the other, through symlinks, whatever they are called', async () => {
        expect((await leat('fs', 'cat', '/hello', '/empty', '/link')).stdout).toBe('hello\nhello\n');
        expect((await leat('fs', 'cat', '/tree/big')).stdout).toBe(BIG.toString('latin1'));
        for (const name of ODD) {
          expect((await leat('fs', 'cat', '--', `/odd/${name}`)).stdout).toBe(
            octets(name.replace('\udc80', '\uFFFD')).toString('latin1'),
          );
        }
      });
    });

    describe('fs load and fs free', () => {
      it('caches all below, says how far it is, and drops it again', async () => {
        await leat('fs', 'free', '/');
        const all = {
          filesFound: 2,
          filesLoaded: 2,
          bytesFound: BIG.length + 4,
          bytesLoaded: BIG.length + 4,
          filesFailed: 0,
        };
        expect(json((await leat('fs', 'load', '--json', '/tree')).stdout).at(-1)).toEqual(all);
        expect(json((await leat('fs', 'stat', '--json', '/tree/big')).stdout)[0]).toMatchObject({
          cachedBytes: BIG.length,
        });
        expect((await leat('fs', 'load', '/tree')).stdout).toBe('/tree: 2 of 2 files, 3.0 MiB of 3.0 MiB cached\n');
        expect(json((await leat('fs', 'free', '--json', '/tree')).stdout)).toEqual([
          { path: '/tree', files: 2, bytes: BIG.length + 4 },
        ]);
        expect((await leat('fs', 'free', '/tree')).stdout).toBe('/tree: 0 files, 0 B dropped\n');
      });

      it('shows how far it is to those who watch', async () => {
        const { stdout, stderr } = await cliOn(here('data'), { watched: true })('fs', 'load', '/tree');
        const [before, ...shown] = stderr.split('\r\u001B[K');
        expect([before, shown.pop()]).toEqual(['', '']);
        for (const line of shown) expect(line).toMatch(/^\d of \d files?, .* cached$/);
        expect(stdout).toBe('/tree: 2 of 2 files, 3.0 MiB of 3.0 MiB cached\n');
      });

      it('names the files that fail, goes on with the others, and fails at last', async () => {
        await mkdir(here('store', 'fleeting'));
        for (const name of ['gone', 'kept']) await writeFile(here('store', 'fleeting', name), name);
        await leat('mount', '/fleeting', local('store/fleeting'));
        await leat('fs', 'ls', '/fleeting');
        await rm(here('store', 'fleeting', 'gone'));
        const { code, stdout, stderr } = await leat('fs', 'load', '/fleeting');
        expect(stderr).toMatch(/^leat: \/fleeting\/gone: .*\nleat: 1 file below \/fleeting could not be cached\n$/);
        expect([code, stdout]).toEqual([1, '/fleeting: 1 of 2 files, 4 B of 8 B cached\n']);
        const lines = json((await leat('fs', 'load', '--json', '/fleeting')).stdout);
        expect(lines).toContainEqual(expect.objectContaining({ path: '/fleeting/gone', kind: 'notFound' }));
        expect(lines.at(-1)).toMatchObject({ filesFound: 2, filesLoaded: 1, filesFailed: 1 });
        await leat('unmount', '/fleeting');
      });

      it('stops when it is interrupted, with exit code 130', async () => {
        const interrupted = cliOn(here('data'), { signal: AbortSignal.abort() });
        expect(await interrupted('fs', 'load', '/')).toEqual({ code: 130, stdout: '', stderr: '' });
      });
    });

    describe('fs mkdir, mv and rm', () => {
      it('makes directories', async () => {
        expect(await leat('fs', 'mkdir', '/made')).toEqual({ code: 0, stdout: '', stderr: '' });
        expect((await leat('fs', 'mkdir', '/made')).stderr).toMatch(/\/made: exists/);
        expect((await leat('fs', 'mkdir', '/no/where')).stderr).toMatch(/\/no/);
        expect(
          json((await leat('fs', 'mkdir', '-p', '-m', '700', '--json', '/made/a/b', '/made')).stdout),
        ).toMatchObject([{ path: '/made/a/b', kind: 'directory', mode: 0o700 }, { path: '/made' }]);
        expect(await readdir(mounted('made', 'a'))).toEqual(['b']);
      });

      it('renames, into directories too, and refuses what rename(2) refuses', async () => {
        await leat('fs', 'cp', local('store/hello'), '/made/one');
        await leat('fs', 'mv', '/made/one', '/made/two');
        await leat('fs', 'mv', '/made/two', '/made/a');
        expect((await leat('fs', 'ls', '/made/a')).stdout).toBe('b\ntwo\n');
        expect((await leat('fs', 'mv', '-n', '/hello', '/made/a/two')).stderr).toMatch(/\/made\/a\/two: exists/);
        expect((await leat('fs', 'mv', '/made', '/made/a')).stderr).toMatch(/into itself/);
        expect((await leat('fs', 'mv', '/hello', '/link', '/made/a/two')).stderr).toMatch(/must be a directory/);
        expect((await leat('fs', 'mv', '/nope', '/made')).code).toBe(1);
        expect(await readFile(mounted('made', 'a', 'two'), 'utf8')).toBe('hello\n');
      });

      it('removes files, empty directories, and trees only when told', async () => {
        expect((await leat('fs', 'rm', '/made')).stderr).toMatch(/-r removes it with all below, -d if it is empty/);
        expect((await leat('fs', 'rm', '-d', '/made')).stderr).toMatch(/\/made/);
        expect((await leat('fs', 'rm', '-d', '/made/a/b')).code).toBe(0);
        expect(json((await leat('fs', 'rm', '-r', '--json', '/made')).stdout)).toEqual([{ removed: '/made' }]);
        expect((await leat('fs', 'rm', '/made')).code).toBe(1);
        expect((await leat('fs', 'rm', '-f', '/made')).code).toBe(0);
        expect(await readdir(mounted())).not.toContain('made');
        await expect.poll(() => readdir(here('store')), SOON).not.toContain('made');
      });
    });

    describe('fs cp', () => {
      it('copies files in and out, with their modes, and with their times if told', async () => {
        await writeFile(here('script'), '#!/bin/sh\n');
        await chmod(here('script'), 0o751);
        await utimes(here('script'), OLD, OLD);
        await mkdir(here('out'));
        await leat('fs', 'cp', '-p', local('script'), '/script');
        expect(json((await leat('fs', 'cp', '--json', '/script', local('out'))).stdout)).toEqual([
          { path: here('out', 'script'), kind: 'file', size: 10 },
        ]);
        const [inside, outside] = [await stat(mounted('script')), await stat(here('out', 'script'))];
        expect([inside.mode & 0o7777, outside.mode & 0o7777]).toEqual([0o751, 0o751]);
        expect([inside.mtime, outside.mtime > OLD]).toEqual([OLD, true]);
        await leat('fs', 'cp', '-p', '/script', local('out'));
        expect((await stat(here('out', 'script'))).mtime).toEqual(OLD);
      });

      it('copies trees in, within and out: symlinks and odd names as they are', async () => {
        expect(await leat('fs', 'cp', '-r', local('store/tree'), local('store/odd'), '/')).toMatchObject({ code: 0 });
        await leat('fs', 'mkdir', '/copies');
        expect(await leat('fs', 'cp', '-r', '/tree', '/odd', '/copies')).toMatchObject({ code: 0, stderr: '' });
        expect(await leat('fs', 'cp', '-r', '/copies', local('back'))).toMatchObject({ code: 0, stderr: '' });
        expect(await readFile(here('back', 'tree', 'big'))).toEqual(BIG);
        expect(await readFile(here('back', 'tree', 'deep', 'deeper', 'leaf'), 'utf8')).toBe('leaf');
        expect(await readlink(here('back', 'tree', 'dangling'))).toBe('nowhere');
        const names = await readdir(here('back', 'odd'), { encoding: 'buffer' });
        expect(names.toSorted(Buffer.compare)).toEqual(ODD.map(octets).toSorted(Buffer.compare));
      });

      it('follows a symlink that is named, unless it copies trees', async () => {
        await leat('fs', 'cp', '/link', local('followed'));
        expect((await lstat(here('followed'))).isFile()).toBe(true);
        await leat('fs', 'cp', '-r', '/link', local('linked'));
        expect(await readlink(here('linked'))).toBe('hello');
      });

      it('says what it does not do', async () => {
        const said = async (...words: string[]) => (await leat('fs', 'cp', ...words)).stderr;
        expect(await said('/tree', local('x'))).toMatch(/\/tree is a directory; -r copies it/);
        expect(await said('-r', '/tree', '/tree')).toMatch(/\/tree cannot be copied into itself, to \/tree\/tree/);
        expect(await said('-r', '/', '/odd')).toMatch(/\/ cannot be copied into itself/);
        expect(await said('-r', local('store'), local('store/x'))).toMatch(/cannot be copied into itself/);
        expect(await said('/nope', local('x'))).toMatch(/\/nope: no such file/);
        expect(await said(local('nope'), '/')).toMatch(/nope: no such file/);
        expect(await said('/hello', '/empty', local('script'))).toMatch(/must be a directory to take 2 sources/);
        expect(await said(local('script'), '/no/where')).toMatch(/\/no/);
      });
    });
  });
