import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BINDINGS, DIRECT, homeOf, JOINED, LIBFUSE } from '../support/bindings.ts';
import type { Daemon } from '../support/daemon.ts';
import { lockers } from '../support/locker.ts';
import { openMountStage, type MountStage } from '../support/mounted.ts';
import { HAS_PYTHON, run } from '../support/run.ts';

/** What is waited for elsewhere is asked for every two seconds at most. */
const SOON = { timeout: 20_000 };

/** By then who wants a lock waits for it. */
const BEGUN_MS = 500;

/** Each of its many calls is a request of the API. */
const DATABASE_MS_MAX = 150_000;

/** Three times, each in a transaction of its own. */
const INSERT = `
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
database.execute("create table if not exists t (n)")
for i in range(3):
    database.execute("insert into t values (1)")
print(database.execute("select count(*) from t").fetchone()[0])
`;

const { locker, clear } = lockers();
afterEach(clear);

for (const binding of [...BINDINGS, LIBFUSE, DIRECT])
  describe.runIf(binding.isThere && HAS_PYTHON)(`locks on a mount, ${binding.name}`, () => {
    const home = homeOf(binding);
    let stage: MountStage;
    let file: string;

    beforeAll(async () => {
      stage = await openMountStage(home);
      const source = await mkdtemp(join(stage.folder, 'source-'));
      await writeFile(join(source, 'file'), 'to be locked');
      await stage.start([source]);
      file = join(stage.at, 'file');
    });
    afterAll(() => stage.clear());

    it('of flock exclude each other, are shared, change their type, and end with the last that has the file open', async () => {
      const [one, two] = [locker(), locker()];
      for (const each of [one, two]) await each.does(`open f r ${file}`);
      expect(await one.does('flock f exclusive try')).toBe('ok');
      expect(await two.does('flock f shared try')).toBe('EAGAIN');
      expect(await one.does('flock f shared try')).toBe('ok');
      expect(await two.does('flock f shared try')).toBe('ok');
      expect(await two.does('flock f exclusive try')).toBe('EAGAIN');
      await one.does('close f');
      await expect.poll(() => two.does('flock f exclusive try'), SOON).toBe('ok');
      await one.does(`open f r ${file}`);
      const waiting = one.does('flock f exclusive wait');
      await two.end('SIGKILL');
      expect(await waiting).toBe('ok');
    });

    it('of flock(1) run one program after the other', async () => {
      const log = join(stage.folder, `log-${crypto.randomUUID()}`);
      const script = `echo in >> ${log}; sleep 0.1; echo out >> ${log}`;
      const all = await Promise.all([1, 2, 3].map(() => run('flock', [file, 'sh', '-c', script])));
      expect(all.map(({ code }) => code)).toEqual([0, 0, 0]);
      expect((await run('cat', [log])).stdout).toBe('in\nout\n'.repeat(3));
      // As soon as it has ended the next may have it.
      for (let i = 0; i < 10; i++) expect((await run('flock', ['-n', file, 'true'])).code).toBe(0);
    });

    it('of fcntl lie on bytes, and end with any close of the file by their process', async () => {
      const [one, two] = [locker(), locker()];
      for (const each of [one, two]) await each.does(`open f r ${file}`);
      expect(await one.does('bytes f shared try 10 10')).toBe('ok');
      expect(await two.does('bytes f shared try 15 10')).toBe('ok');
      expect(await two.does('test f exclusive 0 12')).toBe(`shared 10 10 ${one.pid}`);
      expect(await two.does('test f exclusive 0 10')).toBe('none');
      expect(await two.does('test f shared 0 100')).toBe('none');
      expect(await one.does('bytes f none try 12 3')).toBe('ok');
      expect(await two.does('test f exclusive 0 15')).toBe(`shared 10 2 ${one.pid}`);
      expect(await two.does('test f exclusive 12 3')).toBe('none');
      await one.does(`open g r ${file}`);
      await one.does('close g');
      expect(await two.does('test f exclusive 0 100')).toBe('none');
      expect(await one.does('test f exclusive 0 0')).toBe(`shared 15 10 ${two.pid}`);
      await two.end('SIGKILL');
      expect(await one.does('test f exclusive 0 0')).toBe('none');
    });

    it('of fcntl exclude each other, are waited for, and are refused to who would wait for ever', async () => {
      const [one, two] = [locker(), locker()];
      for (const each of [one, two]) await each.does(`open f rw ${file}`);
      expect(await one.does('bytes f exclusive try 0 10')).toBe('ok');
      expect(await two.does('bytes f exclusive try 10 10')).toBe('ok');
      expect(await two.does('bytes f shared try 9 1')).toBe('EAGAIN');
      // Whoever comes second closes the circle.
      const waiting = [one.does('bytes f exclusive wait 10 5'), two.does('bytes f exclusive wait 0 5')];
      const [second, said] = await Promise.race(waiting.map(async (each, i) => [i, await each] as const));
      expect(said).toBe('EDEADLK');
      await [one, two][second]?.does('bytes f none try 0 0');
      expect(await waiting[1 - second]).toBe('ok');
      expect(await [one, two][second]?.does('test f shared 0 0')).toMatch(/^exclusive \d+ \d+ \d+$/);
    });

    it(
      'keep the writers of a database apart',
      async () => {
        const database = join(stage.at, `${crypto.randomUUID()}.db`);
        const insert = () => run('python3', ['-c', INSERT, database]);
        expect((await Promise.all([insert(), insert()])).map(({ stderr }) => stderr)).toEqual(['', '']);
        expect(await insert()).toMatchObject({ code: 0, stdout: '9\n' });
      },
      DATABASE_MS_MAX,
    );

    it('go as far as bytes can be counted', async () => {
      const [one, two] = [locker(), locker()];
      for (const each of [one, two]) await each.does(`open f r ${file}`);
      await one.does('bytes f shared try 9223372036854775806 0');
      expect(await two.does('test f exclusive 0 9223372036854775806')).toBe('none');
      expect(await two.does('test f exclusive 5 0')).toBe(`shared 9223372036854775806 0 ${one.pid}`);
    });

    it('of an open file itself end with it', async () => {
      const [one, two] = [locker(), locker()];
      for (const each of [one, two]) await each.does(`open f r ${file}`);
      expect(await one.does('ofd f shared 0 5')).toBe('ok');
      expect(await two.does('test f exclusive 0 0')).toMatch(/^shared 0 5 /);
      await one.does('close f');
      await expect.poll(() => two.does('test f exclusive 0 0'), SOON).toBe('none');
    });
  });

const PAIRS = [
  [JOINED, JOINED],
  [JOINED, DIRECT],
] as const;

for (const [first, second] of PAIRS)
  describe.runIf(JOINED.isThere && HAS_PYTHON)(`locks of two nodes: ${first.name}; ${second.name}`, () => {
    const home = homeOf(JOINED);
    let stage: MountStage;
    const running: Record<'one' | 'two', Daemon | undefined> = { one: undefined, two: undefined };
    const at = (node: 'one' | 'two') => join(stage.folder, node, 's', 'file');
    const start = async (node: 'one' | 'two', stores: readonly string[] = []) => {
      const set = { one: first, two: second }[node].set;
      const data = join(stage.folder, `${node}-data`);
      running[node] = await stage.start(stores, { at: join(stage.folder, node), data, set });
    };
    const opened = async (node: 'one' | 'two') => {
      const process = locker();
      expect(await process.does(`open f r ${at(node)}`)).toBe('ok');
      return process;
    };

    beforeAll(async () => {
      stage = await openMountStage(home);
      await mkdir(join(stage.folder, 'store'));
      await writeFile(join(stage.folder, 'store', 'file'), 'to be locked');
      await start('one', [`s=${join(stage.folder, 'store')}`]);
      await start('two');
    });
    afterAll(() => stage.clear());

    it('exclude each other, until one is given back', async () => {
      const [one, two] = [await opened('one'), await opened('two')];
      expect(await one.does('flock f exclusive try')).toBe('ok');
      expect(await two.does('flock f exclusive try')).toBe('EAGAIN');
      const waiting = two.does('flock f exclusive wait');
      await one.does('flock f none wait');
      expect(await waiting).toBe('ok');
      expect(await one.does('flock f shared try')).toBe('EAGAIN');
    });

    it('of bytes show on the other node, whose process has no number here', async () => {
      const [one, two] = [await opened('one'), await opened('two')];
      expect(await one.does('bytes f shared try 10 10')).toBe('ok');
      expect(await two.does('test f exclusive 0 0')).toBe('shared 10 10 0');
      await one.does('close f');
      expect(await two.does('test f exclusive 0 0')).toBe('none');
    });

    it('end with the process that had them', async () => {
      const [one, two] = [await opened('one'), await opened('two')];
      await one.does('flock f exclusive try');
      await one.does('bytes f shared try 0 0');
      const waiting = two.does('flock f exclusive wait');
      await one.end('SIGKILL');
      expect(await waiting).toBe('ok');
      expect(await two.does('test f exclusive 0 0')).toBe('none');
    });

    it('are waited for no more by a process that is interrupted', async () => {
      const [one, two] = [await opened('one'), await opened('two')];
      await one.does('flock f exclusive try');
      void two.does('flock f exclusive wait');
      // A signal that comes just before Python waits is forgotten, on any file system.
      await sleep(BEGUN_MS);
      await two.end('SIGINT');
      await one.does('flock f none wait');
      expect(await (await opened('two')).does('flock f exclusive try')).toBe('ok');
    });

    it('end with the agent that is told to stop, and with one that is killed, when it starts again', async () => {
      for (const end of ['stop', 'kill'] as const) {
        const [one, two] = [await opened('one'), await opened('two')];
        expect(await two.does('flock f exclusive try')).toBe('ok');
        const waiting = one.does('flock f exclusive wait');
        if (end === 'stop') await two.end('SIGKILL');
        await running.two?.[end]();
        await start('two');
        expect(await waiting).toBe('ok');
        await one.end('SIGKILL');
        await two.end('SIGKILL');
      }
    });
  });
