import { fstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { file as inodeOf } from '../../test/contract/metastore.contract.ts';
import { DirtyFile } from './dirty-file.ts';
import { makeShards } from './dirty-paths.ts';

it('a local file is closed once nobody reads or fills it any more', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'leat-dirty-file-'));
  makeShards(dir);
  const file = new DirtyFile(dir, { directory: ROOT, name: 'f' as Name }, inodeOf(1));
  const gate = Promise.withResolvers<void>();
  const { fd } = file;
  const reading = file.using(async (used) => {
    await gate.promise;
    return fstatSync(used).size;
  });
  file.remove();
  gate.resolve();
  expect(await reading).toBe(0);
  expect(() => fstatSync(fd)).toThrow('EBADF');
  rmSync(dir, { recursive: true });
});
