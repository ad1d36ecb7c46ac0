import { mkdir, open, readFile, readdir, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cliOn, LEAT, mountsBelow, openStage, type Stage, unmount } from '../support/cli.ts';
import { run } from '../support/run.ts';

let stage: Stage;
let leat: ReturnType<typeof cliOn>;
const here = (...names: string[]) => join(stage.folder, ...names);
const store = (name: string) => `file:${here(name)}`;

beforeEach(async () => {
  stage = await openStage();
  leat = cliOn(here('data'));
  await mkdir(here('photos'));
  await mkdir(here('models'));
  await writeFile(here('photos', 'one'), 'one');
  await writeFile(here('models', 'two'), 'two');
});
afterEach(() => stage.clear());

/** `leat up …` that is expected to refuse. */
const refusal = (...args: string[]) => run(process.execPath, [LEAT, 'up', '--data', here('data'), ...args]);

describe('up', () => {
  it('mounts one store at the root, and says where and what next', async () => {
    const up = await stage.up([store('photos'), '--at', 'mnt']);
    expect(await readFile(here('mnt', 'one'), 'utf8')).toBe('one');
    expect(up.output()).toContain(`Mounted at ${here('mnt')}:\n  ${here('mnt')}  is  file://${here('photos')}\n`);
    const commands = up.output().split('in another terminal:\n')[1]?.trim().split(/\n */) ?? [];
    expect(commands).toHaveLength(3);
    for (const command of commands)
      expect(await run('sh', ['-c', `cd '${here()}' && ${command}`])).toMatchObject({ code: 0 });
  });

  it('mounts several by name, read-only if told, and has them again when started without', async () => {
    const args = [`p=${store('photos')}`, `m=${store('models')}`, '--readonly', '--at', 'mnt'];
    const first = await stage.up(args);
    expect(await readFile(here('mnt', 'm', 'two'), 'utf8')).toBe('two');
    await expect(writeFile(here('mnt', 'p', 'new'), '')).rejects.toMatchObject({ code: 'EROFS' });
    await expect(rm(here('mnt', 'p', 'one'))).rejects.toMatchObject({ code: 'EROFS' });
    first.signal('SIGTERM');
    expect(await first.ended).toBe(0);
    expect(first.output()).not.toContain('leat: ');
    const second = await stage.up(['--at', 'mnt']);
    expect(await readdir(here('mnt'))).toEqual(['m', 'p']);
    second.signal('SIGINT');
    expect(await second.ended).toBe(0);
    expect(second.output()).toContain(`Unmounted ${here('mnt')}, stopped.`);
    expect(await stage.up(args)).toBeDefined();
  });

  it('shows the files of Leat itself when nothing is given, and no longer once something is', async () => {
    await stage.up(['--at', 'mnt']);
    expect(await readFile(here('mnt', 'agent', 'leat.js'))).toEqual(await readFile(LEAT));
    expect((await leat('mounts')).stdout).toMatch(/^\/agent +file:\/\/.*\(read-only, sync 0s\)$/m);
    await leat('down');
    await stage.up([store('photos'), '--at', 'mnt']);
    expect(await readdir(here('mnt'))).toEqual(['one']);
  });

  it('serves without a mount, and tells programs how to reach it', async () => {
    await stage.up([store('photos'), '--no-mount']);
    expect((await leat('fs', 'cat', '/one')).stdout).toBe('one');
    expect((await leat('info')).stdout).toMatch(/^mounted +nowhere: by choice$/m);
    expect(await mountsBelow(here())).toEqual([]);
    expect(((await stat(here('data', 'agent.json'))).mode & 0o777).toString(8)).toBe('600');
  });

  it('follows symlinks to the mount point', async () => {
    await mkdir(here('real'));
    await symlink('real', here('seeming'));
    await stage.up([store('photos'), '--at', 'seeming/mnt é']);
    expect(await mountsBelow(here())).toEqual([(await realpath(here('real'))) + String.raw`/mnt\040é`]);
    expect((await leat('down')).code).toBe(0);
    expect(await mountsBelow(here())).toEqual([]);
  });

  it.each([
    [
      'a mount point that is not empty',
      () => ['--at', here('models')],
      /models: holds two; mount on an empty directory/,
    ],
    ['a mount point that is a file', () => ['--at', here('models', 'two')], /two: is no directory/],
    ['a mount point in its own store', () => ['--at', here('photos', 'mnt')], /photos cannot be mounted: it holds/],
    ['its data in its own store', () => ['--data', here('photos', 'data')], /photos cannot be mounted: it holds/],
    ['a store that is not there', () => [`x=${store('missing')}`], /missing: the folder is not there/],
    ['a store of an unknown kind', () => ['x=gopher://x'], /gopher:\/\/x: a store is written s3:/],
  ])('refuses %s in one line, and leaves nothing behind', async (_, more, reason) => {
    const { code, stdout, stderr } = await refusal(store('photos'), '--at', here('mnt'), ...more());
    expect(stderr).toMatch(reason);
    expect(stderr).toMatch(/^leat: [^\n]+\n$/);
    expect([code, stdout]).toEqual([1, '']);
    expect(await mountsBelow(here())).toEqual([]);
  });

  it('refuses a port that is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect((await refusal(store('photos'), '--no-mount', '--port', String(port))).stderr).toMatch(
      /choose another --port/,
    );
    server.close();
  });

  it('keeps none of the stores when one of them fails', async () => {
    expect((await refusal(`a=${store('photos')}`, `b=${store('missing')}`, '--no-mount')).code).toBe(1);
    await stage.up([store('photos'), '--no-mount']);
    expect((await leat('fs', 'ls')).stdout).toBe('one\n');
  });

  it('refuses a second agent on its data and its mount point, and another store in the place of one', async () => {
    await stage.up([store('photos'), '--at', 'mnt']);
    expect((await refusal(store('photos'), '--no-mount')).stderr).toMatch(/another agent runs on .*\(pid \d+\)/);
    const other = ['--data', here('other')];
    expect((await refusal('--at', here('mnt'), ...other)).stderr).toMatch(/mnt: another agent has mounted there/);
    await leat('down');
    expect((await refusal(store('models'), '--no-mount')).stderr).toMatch(/\/ was mounted before from file:.*photos/);
    expect((await refusal(store('photos'), '--readonly', '--no-mount')).stderr).toMatch(/before without --readonly/);
  });
});

describe('the end of an agent', () => {
  it('comes with `leat down`, once', async () => {
    const up = await stage.up([store('photos'), '--at', 'mnt']);
    const { pid } = JSON.parse((await leat('info', '--json')).stdout) as { pid: number };
    expect(await leat('down')).toEqual({ code: 0, stdout: `stopped the agent (pid ${pid})\n`, stderr: '' });
    expect(await up.ended).toBe(0);
    expect((await leat('down')).code).toBe(3);
    expect(await readdir(here('mnt'))).toEqual([]);
  });

  it('waits for those who use the mount, names them, and does not for a second signal', async () => {
    const up = await stage.up([store('photos'), '--at', 'mnt']);
    const file = await open(here('mnt', 'one'));
    up.signal('SIGTERM');
    await up.says(new RegExp(`mnt: is in use by process ${process.pid} \\(`));
    expect(await readFile(here('mnt', 'one'), 'utf8')).toBe('one');
    up.signal('SIGTERM');
    expect(await up.ended).toBe(0);
    await file.close();
    expect(await mountsBelow(here())).toEqual([]);
  });

  it('comes when somebody unmounts it from outside', async () => {
    const up = await stage.up([store('photos'), '--at', 'mnt']);
    await unmount(here('mnt'), { lazy: false });
    expect(await up.ended).toBe(0);
    expect((await leat('info')).code).toBe(3);
  });

  it('by kill -9 of all of it leaves a dead mount, which the next `up` recovers, and an address that says so', async () => {
    const up = await stage.up([store('photos'), '--at', 'mnt']);
    const { pid } = JSON.parse((await leat('info', '--json')).stdout) as { pid: number };
    // Stopped, the supervisor starts no other agent meanwhile.
    up.signal('SIGSTOP');
    process.kill(pid, 'SIGKILL');
    up.signal('SIGKILL');
    expect(await up.ended).toBe('SIGKILL');
    expect((await leat('info')).stderr).toMatch(/no agent answers at http:.*start one with `leat up`/);
    await expect(stat(here('mnt'))).rejects.toMatchObject({ code: 'ENOTCONN' });
    await stage.up(['--at', 'mnt']);
    expect(await readFile(here('mnt', 'one'), 'utf8')).toBe('one');
    expect(await mountsBelow(here())).toHaveLength(1);
  });
});
