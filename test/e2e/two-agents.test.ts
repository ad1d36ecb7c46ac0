import { DeleteQueueCommand, GetQueueUrlCommand, PurgeQueueCommand, SQSClient } from '@aws-sdk/client-sqs';
import { readFileSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readFile, readlink, rename, rm, rmdir } from 'node:fs/promises';
import { stat, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Binding, DIRECT, homeOf, JOINED } from '../support/bindings.ts';
import { cliOn, following } from '../support/cli.ts';
import type { Daemon } from '../support/daemon.ts';
import { type MountStage, openMountStage } from '../support/mounted.ts';
import { HAS_PYTHON, run } from '../support/run.ts';

/** Far below the lease: what comes in time was told, and not looked up because it was old. */
const SOON = { timeout: 15_000 };
const LEASE = '1h';
/** Without messages an agent reads the log itself, after twenty seconds of silence, or every ten where it has no inbox. */
const LATER = { timeout: 45_000 };

interface Agent {
  readonly data: string;
  readonly mode: string;
  at(...names: string[]): string;
  leat(...words: string[]): ReturnType<ReturnType<typeof cliOn>>;
}

const home = homeOf(JOINED);
let stage: MountStage;
const running = new Map<Agent, Daemon>();

const PAIRS = [
  [JOINED, JOINED],
  [JOINED, DIRECT],
  [DIRECT, JOINED],
] as const;

function agentOf(name: string, { set }: Binding): Agent {
  const data = join(stage.folder, `${name}-data`);
  return {
    data,
    mode: set['metadata.mode'] ?? 'api',
    at: (...names) => join(stage.folder, name, ...names),
    leat: cliOn(data),
  };
}

async function start(agent: Agent, stores: readonly string[] = []): Promise<void> {
  const set = { 'metadata.mode': agent.mode, 'metadata.lease': LEASE };
  running.set(agent, await stage.start(stores, { at: agent.at(), data: agent.data, set }));
}

const codeOf = ({ code }: { readonly code: string }) => code;
const seen = (path: string) => lstat(path).then(({ mode }) => (mode & 0o7777).toString(8), codeOf);

for (const [first, second] of PAIRS)
  describe.runIf(JOINED.isThere)(`two agents of one cloud: ${first.name}; ${second.name}`, () => {
    let one: Agent;
    let two: Agent;

    beforeAll(async () => {
      stage = await openMountStage(home);
      [one, two] = [agentOf('one', first), agentOf('two', second)];
      await mkdir(join(stage.folder, 'store'));
      await start(one, [`s=${join(stage.folder, 'store')}`]);
      await start(two);
    });
    afterAll(() => stage.clear());

    it('show directories and symlinks of each other, and those that are removed no more', async () => {
      await mkdir(one.at('s', 'dirs', 'deep', 'er'), { recursive: true, mode: 0o750 });
      await symlink('deep/er', one.at('s', 'dirs', 'link'));
      await expect.poll(() => readdir(two.at('s', 'dirs')).catch(codeOf), SOON).toEqual(['deep', 'link']);
      expect(await readlink(two.at('s', 'dirs', 'link'))).toBe('deep/er');
      expect((await stat(two.at('s', 'dirs', 'link'))).mode & 0o7777).toBe(0o750);

      await rmdir(two.at('s', 'dirs', 'deep', 'er'));
      await unlink(two.at('s', 'dirs', 'link'));
      await expect.poll(() => readdir(one.at('s', 'dirs'), { recursive: true }), SOON).toEqual(['deep']);
      await expect.poll(() => seen(one.at('s', 'dirs', 'deep', 'er')), SOON).toBe('ENOENT');
      await expect.poll(() => seen(one.at('s', 'dirs', 'link')), SOON).toBe('ENOENT');
    });

    it('show what a name did not lead to before', async () => {
      await mkdir(one.at('s', 'later'));
      await expect.poll(() => seen(two.at('s', 'later')), SOON).toBe('755');
      expect(await seen(two.at('s', 'later', 'x'))).toBe('ENOENT');
      await mkdir(one.at('s', 'later', 'x'));
      await expect.poll(() => seen(two.at('s', 'later', 'x')), SOON).toBe('755');
    });

    it('read the files that each other has written, again when they are replaced', async () => {
      const body = join(stage.folder, 'body');
      await writeFile(body, 'first');
      expect(await one.leat('fs', 'cp', `file:${body}`, '/s/file')).toMatchObject({ code: 0 });
      await expect.poll(() => readFile(two.at('s', 'file'), 'utf8').catch(codeOf), SOON).toBe('first');
      await writeFile(body, 'and the second, longer');
      expect(await two.leat('fs', 'cp', `file:${body}`, '/s/file')).toMatchObject({ code: 0 });
      await expect.poll(() => readFile(one.at('s', 'file'), 'utf8'), SOON).toBe('and the second, longer');
      await unlink(one.at('s', 'file'));
      await expect.poll(() => readFile(two.at('s', 'file')).catch(codeOf), SOON).toBe('ENOENT');
    });

    it('follow renames, of files and of directories with things below', async () => {
      const body = join(stage.folder, 'body');
      await writeFile(body, 'moved');
      await mkdir(one.at('s', 'from', 'deep'), { recursive: true });
      expect(await one.leat('fs', 'cp', `file:${body}`, '/s/from/deep/file')).toMatchObject({ code: 0 });
      await expect.poll(() => readFile(two.at('s', 'from', 'deep', 'file'), 'utf8').catch(codeOf), SOON).toBe('moved');

      await rename(one.at('s', 'from'), one.at('s', 'to'));
      await expect.poll(() => seen(two.at('s', 'from', 'deep', 'file')), SOON).toBe('ENOENT');
      await expect.poll(() => readFile(two.at('s', 'to', 'deep', 'file'), 'utf8').catch(codeOf), SOON).toBe('moved');

      await rename(two.at('s', 'to', 'deep', 'file'), two.at('s', 'to', 'file'));
      await expect.poll(() => readFile(one.at('s', 'to', 'file'), 'utf8').catch(codeOf), SOON).toBe('moved');
      await expect.poll(() => readdir(one.at('s', 'to', 'deep')), SOON).toEqual([]);

      await rm(one.at('s', 'to'), { recursive: true });
      await expect.poll(() => seen(two.at('s', 'to')), SOON).toBe('ENOENT');
      await expect.poll(() => readdir(two.at('s')), SOON).not.toContain('to');
    });

    it('go on in a directory that the other moves while they are in it', async () => {
      await mkdir(one.at('s', 'here', 'in'), { recursive: true });
      await expect.poll(() => seen(two.at('s', 'here', 'in')), SOON).toBe('755');
      const shell = run('sh', [
        '-c',
        `cd ${two.at('s', 'here', 'in')} && until mkdir made; do sleep 0.1; done && pwd -P`,
      ]);
      expect((await shell).code).toBe(0);
      await rename(one.at('s', 'here'), one.at('s', 'there'));
      await expect.poll(() => readdir(two.at('s', 'there', 'in')).catch(codeOf), SOON).toEqual(['made']);
      await expect.poll(() => readdir(one.at('s', 'there', 'in')).catch(codeOf), SOON).toEqual(['made']);
    });

    it("drop what the other's kernel has of attributes", async () => {
      await mkdir(one.at('s', 'attributes'));
      const [mine, theirs] = [one.at('s', 'attributes'), two.at('s', 'attributes')];
      await expect.poll(() => seen(theirs), SOON).toBe('755');
      await chmod(mine, 0o711);
      await expect.poll(() => seen(theirs), SOON).toBe('711');
      await utimes(theirs, 1000.25, 2000.5);
      await expect.poll(async () => (await stat(mine)).mtimeMs, SOON).toBe(2_000_500);
    });

    it.skipIf(!HAS_PYTHON)('share extended attributes', async () => {
      await mkdir(one.at('s', 'labelled'));
      const python = async (path: string, code: string) => {
        const { stdout, stderr } = await run('python3', ['-c', `import os\np = ${JSON.stringify(path)}\n${code}`]);
        return stdout.trim() + (/\[Errno \d+\]/.exec(stderr)?.[0] ?? '');
      };
      const [mine, theirs] = [one.at('s', 'labelled'), two.at('s', 'labelled')];
      await expect.poll(() => seen(theirs), SOON).toBe('755');
      expect(await python(theirs, `print(os.listxattr(p))`)).toBe('[]');
      await python(mine, `os.setxattr(p, 'user.k', b'v')`);
      await expect.poll(() => python(theirs, `print(os.getxattr(p, 'user.k'))`), SOON).toBe("b'v'");
      await python(theirs, `os.removexattr(p, 'user.k')`);
      await expect.poll(() => python(mine, `os.getxattr(p, 'user.k')`), SOON).toBe('[Errno 61]');
    });

    it('share mounts', async () => {
      const other = join(stage.folder, 'other');
      await mkdir(other, { recursive: true });
      await writeFile(join(other, 'in-other'), 'other');
      expect(await one.leat('mount', '/o', other)).toMatchObject({ code: 0 });
      await expect.poll(() => readFile(two.at('o', 'in-other'), 'utf8').catch(codeOf), SOON).toBe('other');
      expect((await two.leat('mounts')).stdout).toContain('/o ');
      expect(await two.leat('unmount', '/o')).toMatchObject({ code: 0 });
      await expect.poll(() => seen(one.at('o', 'in-other')), SOON).toBe('ENOENT');
    });

    it('tell of each other in `leat events`', async () => {
      await mkdir(one.at('s', 'told'));
      await expect.poll(() => seen(two.at('s', 'told')), SOON).toBe('755');
      const events = following(two.data, '/s/told');
      await events.says('stderr', 'Following');
      await mkdir(one.at('s', 'told', 'a'));
      await rename(one.at('s', 'told', 'a'), one.at('s', 'told', 'b'));
      await rmdir(one.at('s', 'told', 'b'));
      await events.says('stdout', 'removed  /s/told/b/\n');
      expect(await events.stop()).toBe(130);
      const lines = events.printed.stdout.split('\n').filter((line) => /^(created|removed)/.test(line));
      expect(lines).toEqual([
        'created  /s/told/a/',
        'removed  /s/told/a/',
        'created  /s/told/b/',
        'removed  /s/told/b/',
      ]);
    });

    it('show what happened while they were not running, however they ended', async () => {
      for (const end of ['kill', 'stop'] as const) {
        await mkdir(one.at('s', end, 'kept'), { recursive: true });
        await mkdir(one.at('s', end, 'gone'));
        await expect.poll(() => readdir(two.at('s', end)).catch(codeOf), SOON).toEqual(['gone', 'kept']);
        await running.get(two)?.[end]();
        await rmdir(one.at('s', end, 'gone'));
        await rename(one.at('s', end, 'kept'), one.at('s', end, 'moved'));
        await mkdir(one.at('s', end, 'new'));
        await chmod(one.at('s', end), 0o700);
        await start(two);
        await expect.poll(() => readdir(two.at('s', end)).catch(codeOf), SOON).toEqual(['moved', 'new']);
        await expect.poll(() => seen(two.at('s', end)), SOON).toBe('700');
        await expect.poll(() => seen(two.at('s', end, 'gone')), SOON).toBe('ENOENT');
      }
    });
  });

describe.runIf(JOINED.isThere)('an agent whose inbox', () => {
  let one: Agent;
  let two: Agent;
  let queues: SQSClient;
  const inboxOf = async ({ data }: Agent) => {
    const id = readFileSync(join(data, 'agent-id'), 'utf8').trim();
    return (await queues.send(new GetQueueUrlCommand({ QueueName: `leat-local-agent-${id}` }))).QueueUrl;
  };

  beforeAll(async () => {
    stage = await openMountStage(home);
    [one, two] = [agentOf('one', JOINED), agentOf('two', JOINED)];
    await mkdir(join(stage.folder, 'store'));
    await start(one, [`s=${join(stage.folder, 'store')}`]);
    await start(two);
    const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = home.env();
    const { endpoint } = home.cloud();
    queues = new SQSClient({ endpoint, region: 'us-east-1', credentials: { accessKeyId, secretAccessKey } });
  });
  afterAll(async () => {
    queues.destroy();
    await stage.clear();
  });

  it('is purged misses nothing', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `p${String(i).padStart(2, '0')}`);
    await expect.poll(() => readdir(two.at('s')).catch(codeOf), SOON).toEqual([]);
    const QueueUrl = await inboxOf(two);
    for (const name of names) {
      await mkdir(one.at('s', name));
      await queues.send(new PurgeQueueCommand({ QueueUrl }));
    }
    await expect.poll(() => readdir(two.at('s')), LATER).toEqual(names);
    for (const name of names) await rmdir(two.at('s', name));
    await expect.poll(() => readdir(one.at('s')), SOON).toEqual([]);
  });

  it('is removed is told of all that happens, and gets another', async () => {
    await mkdir(one.at('s', 'before'));
    await expect.poll(() => seen(two.at('s', 'before')), SOON).toBe('755');
    await queues.send(new DeleteQueueCommand({ QueueUrl: await inboxOf(two) }));
    await chmod(one.at('s', 'before'), 0o700);
    await mkdir(one.at('s', 'while'));
    await expect.poll(() => seen(two.at('s', 'before')), LATER).toBe('700');
    await expect.poll(() => readdir(two.at('s')), LATER).toEqual(['before', 'while']);
    await expect.poll(() => inboxOf(two).catch(() => undefined), LATER).toBeDefined();
    await rmdir(two.at('s', 'while'));
    await expect.poll(() => readdir(one.at('s')), SOON).toEqual(['before']);
  });
});
