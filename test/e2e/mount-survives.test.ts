import { mkdirSync, writeFileSync } from 'node:fs';
import { open, opendir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Binding, BINDINGS, EMBEDDED, homeOf } from '../support/bindings.ts';
import { mountsBelow } from '../support/cli.ts';
import { type MountStage, openMountStage } from '../support/mounted.ts';
import { run } from '../support/run.ts';

const TIMEOUT_MS = 120_000;
const MIB = 1 << 20;
/** Of which a reader without passthrough has read some when the agent dies. */
const LARGE = Buffer.alloc(4 * MIB, 'large');
const ENTRIES = 3000;
const names = (count: number) => Array.from({ length: count }, (_, i) => `entry-${String(i).padStart(5, '0')}`);

let stage: MountStage;
const here = (...path: string[]) => join(stage.at, ...path);
const inStore = (...path: string[]) => join(stage.folder, 'store', ...path);

/** For each test of a group. */
function stagesOf(binding: Binding): void {
  const home = homeOf(binding);
  beforeEach(async () => {
    stage = await openMountStage(home);
    mkdirSync(inStore('many'), { recursive: true });
    writeFileSync(inStore('large'), LARGE);
    writeFileSync(inStore('small'), 'small');
    for (const name of names(ENTRIES)) writeFileSync(inStore('many', name), '');
  });
  afterEach(() => stage.clear());
}

const start = (set: Readonly<Record<string, string>> = {}) => stage.start([`file:${inStore()}`], { set });

for (const binding of BINDINGS)
  describe.runIf(binding.isThere)(`a mount whose agent is killed, ${binding.name}`, { timeout: TIMEOUT_MS }, () => {
    stagesOf(binding);

    it('serves who has files open, by the kernel, by us, and without a name', async () => {
      const daemon = await start();
      await writeFile(here('written'), 'written');
      const files = await Promise.all(['large', 'small', 'written'].map((name) => open(here(name))));
      const [large, small, written] = files as [(typeof files)[0], (typeof files)[0], (typeof files)[0]];
      const begin = Buffer.alloc(MIB);
      await large.read(begin, 0, MIB, 0);
      await rm(here('written'));
      await daemon.killAgent();
      expect((await small.readFile()).toString()).toBe('small');
      expect((await large.readFile()).equals(LARGE)).toBe(true);
      expect((await written.readFile()).toString()).toBe('written');
      expect(await written.stat()).toMatchObject({ nlink: 0, size: 7 });
      for (const file of files) await file.close();
      expect(await readFile(here('small'), 'utf8')).toBe('small');
      await daemon.stop();
    });

    it('serves who has opened what was written then, and has no name since', async () => {
      const daemon = await start();
      const writer = await open(here('new'), 'w');
      const reader = await open(here('new'));
      await writer.write('written');
      await writer.close();
      await rm(here('new'));
      await daemon.killAgent();
      expect((await reader.readFile()).toString()).toBe('written');
      expect(await reader.stat()).toMatchObject({ nlink: 0, size: 7 });
      await reader.close();
      await daemon.stop();
    });

    it('goes on with what is written, and with who stands in a directory', async () => {
      const daemon = await start();
      const file = await open(here('new'), 'w+');
      await file.write('before ');
      const script = `cd ${here('many')}; sleep 3; ls entry-00001; echo made > here; cat here`;
      const within = run('sh', ['-c', script]);
      await sleep(500);
      await daemon.killAgent();
      await file.write('after');
      expect((await file.stat()).size).toBe(12);
      await file.sync();
      await file.close();
      expect(await readFile(here('new'), 'utf8')).toBe('before after');
      expect((await within).stdout).toBe('entry-00001\nmade\n');
      await daemon.stop();
      expect((await readdir(inStore())).toSorted()).toEqual(['large', 'many', 'new', 'small']);
    });
  });

describe('a mount whose agent is killed', { timeout: TIMEOUT_MS }, () => {
  stagesOf(EMBEDDED);

  it('shows each entry once to who is reading a directory, whatever goes meanwhile', async () => {
    const daemon = await start();
    const directory = await opendir(here('many'), { bufferSize: 1 });
    const seen: string[] = [];
    for (let i = 0; i < 1500; i++) seen.push((await directory.read())?.name ?? '');
    for (const name of seen.slice(0, 100)) await rm(here('many', name));
    await daemon.killAgent();
    for (let entry = await directory.read(); entry; entry = await directory.read()) seen.push(entry.name);
    await directory.close();
    expect(seen).toEqual(names(ENTRIES));
    await daemon.stop();
  });

  it('carries out what was asked once, and answers all of it', async () => {
    const daemon = await start();
    for (let round = 0; round < 2; round++) {
      const base = here(`round-${round}`);
      const script = `set -e; mkdir ${base}; cd ${base}; i=0; while [ $i -lt 60 ]; do
        mkdir d$i; echo $i > d$i/f; mv d$i/f d$i/g; ln -s g d$i/s; ln d$i/g d$i/h; rm d$i/h; i=$((i+1)); done; echo done`;
      const working = run('sh', ['-c', script]);
      await sleep(300);
      await daemon.killAgent();
      await sleep(200);
      await daemon.killAgent();
      expect(await working).toEqual({ code: 0, stdout: 'done\n', stderr: '' });
      expect(await readdir(base)).toHaveLength(60);
      for (const i of [0, 30, 59]) expect(await readdir(join(base, `d${i}`))).toEqual(['g', 's']);
      expect(await readFile(join(base, 'd59', 's'), 'utf8')).toBe('59\n');
    }
    await daemon.stop();
  });

  it('survives without open calls, too', async () => {
    const daemon = await start({ 'fuse.profile': 'training' });
    const file = await open(here('large'));
    await file.read(Buffer.alloc(10), 0, 10, 0);
    await daemon.killAgent();
    expect((await file.readFile()).equals(LARGE)).toBe(true);
    await file.close();
    expect(await readFile(here('small'), 'utf8')).toBe('small');
    await daemon.stop();
  });
});

describe('a supervisor', { timeout: TIMEOUT_MS }, () => {
  stagesOf(EMBEDDED);

  it('that is killed takes its agent with it, which unmounts', async () => {
    const daemon = await start();
    const agent = daemon.pid;
    process.kill(daemon.supervisor, 'SIGKILL');
    await expect.poll(() => isAlive(agent), { timeout: 20_000 }).toBe(false);
    expect(await mountsBelow(stage.folder)).toEqual([]);
  });

  it('goes on with an agent that has renamed what is open', async () => {
    const daemon = await start();
    const file = await open(here('small'));
    await rename(here('small'), here('many', 'moved'));
    await daemon.killAgent();
    expect((await file.readFile()).toString()).toBe('small');
    await file.close();
    expect((await stat(here('many', 'moved'))).size).toBe(5);
    await daemon.stop();
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
