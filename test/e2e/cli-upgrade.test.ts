import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cliOn, LEAT, mountsBelow, openStage, type Stage } from '../support/cli.ts';
import { run } from '../support/run.ts';

const TIMEOUT_MS = 120_000;
/** What a new version may be: one that runs, one that does not, and one that only says that it does. */
const PROGRAMS = {
  working: `await import(${JSON.stringify(LEAT)});`,
  broken: `import 'missing-package';`,
  lying: `if (process.argv[2] === '--version') console.log('leat 9.9.9'); else process.exit(4);`,
};

let stage: Stage;
let leat: ReturnType<typeof cliOn>;
const here = (...names: string[]) => join(stage.folder, ...names);
const install = (program: keyof typeof PROGRAMS) => writeFile(here('leat.mjs'), PROGRAMS[program]);
const pidNow = async () => (JSON.parse(await readFile(here('data', 'agent.json'), 'utf8')) as { pid: number }).pid;

beforeEach(async () => {
  stage = await openStage();
  leat = cliOn(here('data'));
  await mkdir(here('store'));
  await writeFile(here('store', 'file'), 'content');
  await install('working');
});
afterEach(() => stage.clear());

const start = () => stage.up([`file:${here('store')}`, '--at', 'mnt'], here('leat.mjs'));

describe('leat upgrade', { timeout: TIMEOUT_MS }, () => {
  it('starts the program on the disk under a mount that is in use', async () => {
    const up = await start();
    const tree = here('mnt', 'tree');
    const script = `set -e; mkdir ${tree}; i=0; while [ $i -lt 40 ]; do echo $i > ${tree}/$i; i=$((i+1)); done
      tar cf ${here('all.tar')} -C ${tree} .; tar df ${here('all.tar')} -C ${tree}; echo same`;
    const working = run('sh', ['-c', script]);
    const before = await pidNow();
    const { code, stdout } = await leat('upgrade', '--json');
    expect(code).toBe(0);
    const { pid } = JSON.parse(stdout) as { pid: number };
    expect(pid).not.toBe(before);
    expect(await pidNow()).toBe(pid);
    expect(await working).toEqual({ code: 0, stdout: 'same\n', stderr: '' });
    expect(await readFile(here('mnt', 'file'), 'utf8')).toBe('content');
    up.signal('SIGTERM');
    expect(await up.ended).toBe(0);
    expect(await mountsBelow(stage.folder)).toEqual([]);
  });

  it('leaves everything as it is when the program on the disk does not run', async () => {
    await start();
    const before = await pidNow();
    await install('broken');
    const { code, stderr } = await leat('upgrade');
    expect(code).toBe(1);
    expect(stderr).toMatch(/leat\.mjs: this program does not run \(.*\); install it whole, and try again/);
    expect(await pidNow()).toBe(before);
    expect(await readFile(here('mnt', 'file'), 'utf8')).toBe('content');
  });
});

describe('agents that die as soon as they are started', { timeout: TIMEOUT_MS }, () => {
  it('are given up: nobody waits for them any longer', async () => {
    const up = await start();
    await install('lying');
    process.kill(await pidNow(), 'SIGKILL');
    const waiting = stat(here('mnt', 'file')).catch((error: NodeJS.ErrnoException) => error.code);
    expect(await up.ended).toBe(1);
    expect(up.output()).toMatch(/the agent died 11 times as soon as it was started \(exit code 4\).*mnt is unmounted/);
    expect(['ENOTCONN', 'ECONNABORTED', 'ENOENT']).toContain(await waiting);
    expect(await mountsBelow(stage.folder)).toEqual([]);
  });
});
