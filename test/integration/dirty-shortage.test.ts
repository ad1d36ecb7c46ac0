import { ftruncateSync } from 'node:fs';
import { expect, it } from 'vitest';
import { BaseBlocks } from '#agent/dirty/base-blocks.ts';
import { ContentReader } from '#agent/dirty/content-reader.ts';
import { DirtyFile } from '#agent/dirty/dirty-file.ts';
import { makeShards } from '#agent/dirty/dirty-paths.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { Name, Path } from '#shared/model/names.ts';
import { file as inodeOf } from '../contract/metastore.contract.ts';
import { NO_SMALL_DISK, smallDisk } from '../support/small-disk.ts';

const MIB = 2 ** 20;

it('a disk without room for what is brought from a base refuses it, and has not got it', async ({ skip }) => {
  const dir = smallDisk(MIB) ?? skip(NO_SMALL_DISK);
  makeShards(dir);
  const inode = { ...inodeOf(1), size: 2 * MIB };
  const at = { directory: ROOT, name: 'f' as Name };
  const file = new DirtyFile(dir, at, inode);
  file.base = BaseBlocks.of(file.mapPath, { size: inode.size, generation: 1, isHere: false });
  ftruncateSync(file.fd, inode.size);
  const read = async (into: Uint8Array) => into.fill(7).length;
  const cache = { open: () => ({ read, load: async () => false, close() {} }) };
  const found = { path: '/f' as Path, inode };
  const means = { find: async () => found, close: () => file.close() };
  const reader = new ContentReader({ cache, fetchFor: () => async () => {} }, file, means);

  for (const offset of [MIB, 2 * MIB - 4096]) {
    const rest = { offset, length: 2 * MIB - offset };
    await expect(reader.fill([rest])).rejects.toMatchObject({ kind: 'noSpace' });
  }
  expect(file.base.isHere({ offset: MIB, length: 1 })).toBe(false);
  const bytes = Buffer.alloc(MIB);
  await reader.read(bytes, MIB);
  expect(bytes.equals(Buffer.alloc(MIB, 7))).toBe(true);
  file.remove();
});
