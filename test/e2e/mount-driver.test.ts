import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIBFUSE } from '../support/bindings.ts';
import { openMountStage, type MountStage } from '../support/mounted.ts';

/** A platform for which koffi has no build: neither system calls nor the kernel's protocol are within reach. */
const WITHOUT_KOFFI = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  registerHooks({
    resolve(name, context, next) {
      if (name === 'koffi') throw new Error('no koffi on this platform');
      return next(name, context);
    },
  });
`)}`;

describe.runIf(LIBFUSE.isThere)('the driver of a mount', () => {
  let stage: MountStage;
  let source: string;

  beforeEach(async () => {
    stage = await openMountStage();
    source = join(stage.folder, 'source');
    await mkdir(source);
    await writeFile(join(source, 'a'), 'bytes');
  });
  afterEach(() => stage.clear());

  it('is the one that speaks with the kernel, and nothing is said of it', async () => {
    const daemon = await stage.start([source]);
    expect(await readFile(join(stage.at, 'a'), 'utf8')).toBe('bytes');
    await daemon.stop();
    expect(daemon.output()).not.toContain('fuse.driver');
  });

  it('is libfuse where the other cannot run, and the log says why', async () => {
    const daemon = await stage.start([source], { env: { NODE_OPTIONS: `--import ${WITHOUT_KOFFI}` } });
    expect(await readFile(join(stage.at, 'a'), 'utf8')).toBe('bytes');
    await daemon.stop();
    expect(daemon.output()).toContain(
      'mounted by fuse.driver=libfuse, because fuse.driver=kernel cannot run here: its native code cannot be loaded (no koffi on this platform)',
    );
  });
});
