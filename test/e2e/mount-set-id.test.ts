import { chmod, chown, mkdtemp, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openMountStage, type MountStage } from '../support/mounted.ts';
import { asUser } from '../support/other-users.ts';
import { HAS_PYTHON } from '../support/run.ts';

const isRoot = process.getuid?.() === 0;

/** By which the kernel writes itself, and by which we do. */
const PLACES = ['', 'store/'];

describe.runIf(isRoot && HAS_PYTHON)('set-id bits of a file that is written through a mount', () => {
  let stage: MountStage;
  const at = (name: string) => join(stage.at, name);
  const modeOf = async (name: string) => (await stat(at(name))).mode & 0o7777;

  beforeAll(async () => {
    stage = await openMountStage();
    await chmod(stage.folder, 0o711);
    const source = await mkdtemp(join(stage.folder, 'source-'));
    await chmod(source, 0o777);
    await stage.start([`store=${source}`]);
  });
  afterAll(() => stage.clear());

  for (const place of PLACES)
    it.each([
      ['a write', `os.write(os.open('f', os.O_WRONLY), b'x')`, 0o777],
      ['a later write of a long file', `f = os.open('f', os.O_RDWR)\nos.read(f, 1)\nos.write(f, b'x')`, 0o777],
      ['truncate', `os.truncate('f', 1)`, 0o777],
      ['opening it to write from the start', `os.open('f', os.O_WRONLY | os.O_TRUNC)`, 0o777],
      ['making room in it', `os.posix_fallocate(os.open('f', os.O_RDWR), 0, 9)`, 0o777],
      ['a look', `os.read(os.open('f', os.O_RDONLY), 1)`, 0o6777],
    ])(`go with %s, in /${place}`, async (_, code, left) => {
      await writeFile(at(`${place}f`), 'four');
      await chown(at(`${place}f`), 7, 8);
      await chmod(at(`${place}f`), 0o6777);
      expect(await asUser(0, at(place), code)).toBe('');
      expect(await modeOf(`${place}f`)).toBe(0o6777);
      expect(await asUser(1001, at(place), code)).toBe('');
      expect(await modeOf(`${place}f`)).toBe(left);
    });

  it('of a file that has no name any more are in nobody’s way', async () => {
    await writeFile(at('store/gone'), 'four');
    await chmod(at('store/gone'), 0o6777);
    await chmod(at('store'), 0o777);
    const code = `f = os.open('gone', os.O_RDWR)\nos.unlink('gone')\nprint(os.write(f, b'x'), os.pread(f, 9, 0))`;
    expect(await asUser(1001, at('store'), code)).toBe(`1 b'xour'`);
  });

  it('without the x of the group, setgid stays', async () => {
    await writeFile(at('f'), 'four');
    await chmod(at('f'), 0o6766);
    expect(await asUser(1001, stage.at, `os.write(os.open('f', os.O_WRONLY), b'x')`)).toBe('');
    expect(await modeOf('f')).toBe(0o2766);
  });
});
