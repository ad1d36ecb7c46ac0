import { mkdir, mkdtemp, rename, rmdir, stat, symlink, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMBEDDED, homeOf, JOINED } from '../support/bindings.ts';
import { openMountStage, type MountStage } from '../support/mounted.ts';

for (const binding of [EMBEDDED, { ...EMBEDDED, name: 'embedded, in the heap', set: { metastore: 'heap' } }, JOINED])
  describe.runIf(binding.isThere)(`times through a mount, ${binding.name}`, () => {
    const home = homeOf(binding);
    let stage: MountStage;
    const at = (name: string) => join(stage.at, name);

    beforeEach(async () => {
      stage = await openMountStage(home);
      const source = await mkdtemp(join(stage.folder, 'source-'));
      await mkdir(join(source, 'd'));
      await stage.start([source]);
    });
    afterEach(() => stage.clear());

    it('of a directory show at once what came or went in it', async () => {
      for (const act of [
        () => mkdir(at('d/one')),
        () => mkdir(at('d/two')),
        () => rename(at('d/one'), at('d/three')),
        () => symlink('three', at('d/four')),
        () => rmdir(at('d/two')),
        () => unlink(at('d/four')),
        () => rename(at('d/three'), at('three')),
      ]) {
        const before = await stat(at('d'), { bigint: true });
        await act();
        const after = await stat(at('d'), { bigint: true });
        expect([after.mtimeNs > before.mtimeNs, after.ctimeNs > before.ctimeNs]).toEqual([true, true]);
      }
      await utimes(at('d'), 1000, 2000);
      expect((await stat(at('d'))).mtimeMs).toBe(2_000_000);
    });
  });
