import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BINDINGS, homeOf } from '../support/bindings.ts';
import { cliOn, openStage, type Stage } from '../support/cli.ts';
import { startS3Server } from '../support/s3-server.ts';

const SOON = { timeout: 10_000 };

let stage: Stage;
let leat: ReturnType<typeof cliOn>;
const here = (...names: string[]) => join(stage.folder, ...names);
const store = (name: string) => `file:${here(name)}`;

for (const binding of BINDINGS)
  describe.runIf(binding.isThere)(`the commands for stores, ${binding.name}`, () => {
    const home = homeOf(binding);

    beforeAll(async () => {
      stage = await openStage(home);
      for (const name of ['a', 'b', 'c']) {
        await mkdir(here(name));
        await writeFile(here(name, `of-${name}`), name);
      }
      await stage.up([`a=${store('a')}`, '--at', 'mnt']);
      leat = cliOn(here('data'));
    });
    afterAll(() => stage.clear());

    it('joins a store while the agent runs, seen at once through the mount, and detaches it', async () => {
      expect(await leat('mount', '/b/deep', store('b'), '--readonly', '--sync', '30s')).toEqual({
        code: 0,
        stdout: `/b/deep              file://${here('b')} (read-only, sync 30s)\n`,
        stderr: '',
      });
      expect(await readFile(here('mnt', 'b', 'deep', 'of-b'), 'utf8')).toBe('b');
      expect((await leat('mounts')).stdout.split('\n')).toHaveLength(3);
      await expect(writeFile(here('mnt', 'b', 'deep', 'new'), '')).rejects.toMatchObject({ code: 'EROFS' });
      expect((await leat('fs', 'mkdir', '/b/deep/new')).stderr).toMatch(/\/b\/deep: its mount is read-only/);
      expect((await leat('fs', 'cp', store('c/of-c'), '/b/deep')).stderr).toMatch(/read-only/);
      expect((await leat('fs', 'rm', '-r', '/b/deep')).stderr).toMatch(/is a mount; unmount it first/);
      expect(await leat('unmount', '/b/deep', '--json')).toEqual({
        code: 0,
        stdout: '{"unmounted":"/b/deep"}\n',
        stderr: '',
      });
      // The kernel, which has just read it, is told by a thread of its own.
      const codeOf = ({ code }: { code: string }) => code;
      await expect.poll(() => readFile(here('mnt', 'b', 'deep', 'of-b')).catch(codeOf), SOON).toBe('ENOENT');
    });

    it('takes a bucket beside a folder, and keeps its secrets to itself', async () => {
      const server = await startS3Server();
      const key = server.env['AWS_SECRET_ACCESS_KEY'] ?? '';
      const options = { endpoint: server.endpoint, 'access-key-id': key, 'secret-access-key': key };
      const words = Object.entries(options).flatMap(([name, value]) => ['--option', `s3.${name}=${value}`]);
      // In a cloud, of the same namespace.
      const second = await openStage({ ...home, empty: async () => {} });
      try {
        const bucket = await server.newBucket();
        const up = await second.up([`s=s3://${bucket}`, `c=${store('c')}`, '--no-mount', ...words]);
        const other = cliOn(join(second.folder, 'data'));
        expect(await other('fs', 'cp', '/c/of-c', '/s/')).toMatchObject({ code: 0 });
        expect((await other('fs', 'cat', '/s/of-c')).stdout).toBe('c');
        const shown = (await other('mounts', '--json')).stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as { path: string });
        const [folder, inS3] = ['/c', '/s'].map((at) => shown.find(({ path }) => path === at));
        expect(folder).toMatchObject({ path: '/c', options: {} });
        expect(inS3).toMatchObject({
          path: '/s',
          options: { 's3.endpoint': server.endpoint, 's3.secret-access-key': '(hidden)' },
        });
        for (const words of [['mounts'], ['info'], ['info', '--json']]) {
          expect((await other(...words)).stdout).not.toMatch(`"s3.secret-access-key":"${key}"`);
        }
        for (const at of ['/s', '/c']) expect(await other('unmount', at)).toMatchObject({ code: 0 });
        await other('down');
        expect(await up.ended).toBe(0);
      } finally {
        await second.clear();
        await server.stop();
      }
    });

    it('keeps nothing where no store is mounted, and says so', async () => {
      await leat('fs', 'mkdir', '/free');
      expect((await leat('fs', 'cp', store('c/of-c'), '/free')).stderr).toMatch(/no store is mounted here/);
      await leat('fs', 'rm', '-r', '/free');
    });

    it.each([
      ['mount /x file:missing', /missing: the folder is not there/],
      ['mount /x gopher://x', /gopher:\/\/x: a store is written/],
      ['mount /x s3://', /s3:\/\/: an S3 store is written/],
      ['mount /x s3://bucket --option s3.bogus=1', /s3\.bogus: no such option/],
      ['mount /a file:b', /\/a/],
      ['mount / file:b', /\/: holds a; mount on an empty directory/],
      ['mount /x file:.', /cannot be mounted: it holds .*move that elsewhere with --at or --data/],
      ['mount /x file:data', /cannot be mounted/],
      ['mount /x file:mnt', /cannot be mounted/],
      ['unmount /nope', /\/nope: no such file or directory/],
      ['unmount /a/of-a', /\/a\/of-a: is not a mount; `leat mounts`/],
      ['fs mv /a /b', /\/a: is a mount; unmount it first/],
    ])('refuses `leat %s`, and mounts nothing', async (words, reason) => {
      const argv = words
        .split(' ')
        .map((word) => (word.startsWith('file:') ? store(word.slice('file:'.length)) : word));
      const { code, stdout, stderr } = await leat(...argv);
      expect(stderr).toMatch(reason);
      expect([code, stdout]).toEqual([1, '']);
      expect((await leat('mounts')).stdout).toBe(`/a                   file://${here('a')}\n`);
    });
  });
