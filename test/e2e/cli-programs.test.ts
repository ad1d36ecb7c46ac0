import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIBFUSE } from '../support/bindings.ts';
import { cliOn, LEAT, openStage, type Stage } from '../support/cli.ts';
import { run, type Ran } from '../support/run.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
/** Makes this Node say that it is an older one, for machines that have none. */
const PRETENCE = `data:text/javascript,${encodeURIComponent(`
  Object.defineProperty(process.versions, 'node', { value: '20.20.2' });
  Object.defineProperty(process, 'version', { value: 'v20.20.2' });
`)}`;

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.clear());

describe('an older Node', () => {
  it('is told so in one line, and nothing else happens', async () => {
    const alone = join(stage.folder, 'leat.mjs');
    await copyFile(LEAT, alone);
    for (const withNode of await olderNodes()) {
      const { code, stdout, stderr } = await withNode(alone, 'up');
      expect(stderr).toMatch(/^leat needs Node 24 or newer, and this is v\d+\.\d+\.\d+: install a newer one.*\n$/);
      expect([code, stdout]).toEqual([1, '']);
    }
  });

  it('hands over to the one of the source tree, and says so in one line', async () => {
    for (const withNode of await olderNodes()) {
      const version = await withNode(LEAT, '--version');
      expect(version.stderr).toMatch(
        /^leat needs Node 24 or newer, and this is v[\d.]+: going on with the one in node_modules\n$/,
      );
      expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^leat \d/) });
      expect(await withNode(LEAT, 'bogus')).toMatchObject({ code: 2 });
    }
  });
});

describe('the bundle', () => {
  it('mounts, serves and stops as the source does', async () => {
    expect(await run(process.execPath, [join(ROOT, 'agent/build.js')])).toMatchObject({ code: 0, stderr: '' });
    const bundle = join(ROOT, 'dist/leat.js');
    expect((await run(bundle, ['--version'])).stdout).toBe((await run(process.execPath, [LEAT, '--version'])).stdout);
    await mkdir(join(stage.folder, 'store'));
    await writeFile(join(stage.folder, 'store', 'file'), 'bytes');
    for (const driver of LIBFUSE.isThere ? ['kernel', 'libfuse'] : ['kernel']) {
      const up = await stage.up(['./store', '--at', 'mnt', '--set', `fuse.driver=${driver}`], bundle);
      expect(await readFile(join(stage.folder, 'mnt', 'file'), 'utf8')).toBe('bytes');
      expect(up.output()).toMatch(/^ {2}leat info --data/m);
      const leat = cliOn(join(stage.folder, 'data'));
      expect((await leat('fs', 'cat', '/file')).stdout).toBe('bytes');
      expect((await leat('down')).code).toBe(0);
      expect(await up.ended).toBe(0);
    }
  });
});

type Node = (...args: string[]) => Promise<Ran>;

/** Those that the machine has beside ours, and in any case one that pretends. */
async function olderNodes(): Promise<Node[]> {
  const found: Node[] = [(...args) => run(process.execPath, ['--import', PRETENCE, ...args])];
  for (const folder of new Set((process.env['PATH'] ?? '').split(delimiter))) {
    const node = join(folder, 'node');
    const { stdout } = await run(node, ['--version']).catch(() => ({ stdout: '' }));
    if (/^v(1[4-9]|2[0-3])\./.test(stdout)) found.push((...args) => run(node, args));
  }
  return found;
}
