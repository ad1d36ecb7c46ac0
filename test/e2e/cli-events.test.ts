import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { following as eventsOf, openStage, type Stage } from '../support/cli.ts';

let stage: Stage;
const here = (...names: string[]) => join(stage.folder, ...names);

beforeEach(async () => {
  stage = await openStage();
  await mkdir(here('store'));
});
afterEach(() => stage.clear());

const following = (...args: string[]) => eventsOf(here('data'), ...args);

/** Of directories changes are of their times, which come when they come. */
const ofFiles = (lines: string) => lines.split('\n').filter((line) => !/^(changed .*\/|)$/.test(line));

it('prints what others do by the mount, and ends with 130', async () => {
  await stage.up([`file:${here('store')}`, '--at', 'mnt']);
  await mkdir(here('mnt', 'a'));
  const events = following('/a');
  await events.says('stderr', 'Following /a. Ctrl-C stops.\n');
  await mkdir(here('mnt', 'a', 'b'));
  await mkdir(here('mnt', 'elsewhere'));
  await mkdir(here('mnt', 'a', 'c d'));
  await rename(here('mnt', 'a', 'b'), here('mnt', 'a', 'new'));
  await rm(here('mnt', 'a', 'new'), { recursive: true });
  await events.says('stdout', 'removed  /a/new/\n');
  expect(await events.stop()).toBe(130);
  expect(ofFiles(events.printed.stdout)).toEqual([
    'created  /a/b/',
    'created  /a/c d/',
    'removed  /a/b/',
    'created  /a/new/',
    'removed  /a/new/',
  ]);
});

it('goes on behind a cursor, and says so when that is not known', async () => {
  await stage.up([`file:${here('store')}`, '--at', 'mnt']);
  const first = following('--json');
  await first.says('stdout', '"ready"');
  await mkdir(here('mnt', 'one'));
  await first.says('stdout', '"/one"');
  await first.stop();
  const one = first.printed.stdout.split('\n').find((line) => line.includes('/one')) ?? '';
  await mkdir(here('mnt', 'two'));
  const second = following('--json', '--after', String((JSON.parse(one) as { cursor?: string }).cursor));
  await second.says('stdout', '"ready"');
  await second.stop();
  expect(second.printed.stdout).not.toContain('"/one"');
  expect(second.printed.stdout).toMatch(/^{"event":"created","cursor":"\w+-\d+","path":"\/two","kind":"directory",/m);
  const stranger = following('--json', '--after', 'bogus-1');
  await stranger.says('stdout', /^{"event":"gap","cursor":"\w+-\d+"}$/m);
  await stranger.stop();
});

it('waits for an agent that starts again, and says what may have been lost', async () => {
  const up = await stage.up([`file:${here('store')}`, '--at', 'mnt']);
  const events = following('/');
  await events.says('stderr', 'Following');
  up.signal('SIGTERM');
  expect(await up.ended).toBe(0);
  await events.says('stderr', 'the agent does not answer; waiting for it');
  await stage.up(['--at', 'mnt']);
  await events.says('stderr', 'events were lost');
  await mkdir(here('mnt', 'back'));
  await events.says('stdout', 'created  /back/');
  expect(await events.stop()).toBe(130);
});

it('fails where there is nothing to follow, and where no agent is', async () => {
  expect(await following('/').code).toBe(3);
  await stage.up([`file:${here('store')}`, '--at', 'mnt']);
  const events = following('/nothing');
  expect(await events.code).toBe(1);
  expect(events.printed.stderr).toContain('/nothing: no such file or directory');
});

it('lets go of readers that go away without a word', async () => {
  await stage.up([`file:${here('store')}`, '--at', 'mnt']);
  const { url, token } = JSON.parse(await readFile(here('data', 'agent.json'), 'utf8')) as {
    url: string;
    token: string;
  };
  const statuses = new Set<number>();
  // More than may follow at once.
  for (let i = 0; i < 300; i++) {
    const gone = new AbortController();
    const response = await fetch(`${url}/v1/events`, {
      headers: { authorization: `Bearer ${token}` },
      signal: gone.signal,
    });
    statuses.add(response.status);
    await response.body?.getReader().read();
    gone.abort();
  }
  expect([...statuses]).toEqual([200]);
});
