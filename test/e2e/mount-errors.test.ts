import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attempts } from '../support/attempts.ts';
import { BINDINGS, homeOf, LIBFUSE } from '../support/bindings.ts';
import { cliOn } from '../support/cli.ts';
import { openMountStage, type MountStage } from '../support/mounted.ts';
import { HAS_PYTHON } from '../support/run.ts';

const isRoot = process.getuid?.() === 0;
const SOMEBODY = 1234;

/** What each statement is to fail with. */
type Expected = Readonly<Record<string, string>>;

for (const binding of [...BINDINGS, LIBFUSE])
  describe.runIf(binding.isThere && HAS_PYTHON)(`a mount refuses as POSIX says, ${binding.name}:`, () => {
    const home = homeOf(binding);
    let stage: MountStage;
    const at = (...names: string[]) => join(stage.at, ...names);

    beforeAll(async () => {
      stage = await openMountStage(home);
      await chmod(stage.folder, 0o755); // for who is not root
      for (const store of ['one', 'two', 'kept']) {
        const folder = join(stage.folder, store);
        await mkdir(join(folder, 'full', 'of'), { recursive: true });
        await writeFile(join(folder, 'file'), 'text');
      }
      await stage.start([`one=${join(stage.folder, 'one')}`, `two=${join(stage.folder, 'two')}`]);
      const kept = join(stage.folder, 'kept');
      await cliOn(stage.data)('mount', '/kept', kept, '--readonly');
    });
    afterAll(() => stage.clear());

    const refused = async (place: string, expected: Expected, by: { readonly uid?: number } = {}) =>
      expect(await attempts({ d: place }, Object.keys(expected), by)).toEqual(expected);

    it('changes of a store that is mounted read-only', async () => {
      await refused(at('kept'), {
        'open(d + "/file").read()': 'ok',
        'open(d + "/file", "r+")': 'EROFS',
        'open(d + "/file", "w")': 'EROFS',
        'open(d + "/new", "w")': 'EROFS',
        'os.truncate(d + "/file", 1)': 'EROFS',
        'os.mkdir(d + "/new")': 'EROFS',
        'os.symlink("x", d + "/new")': 'EROFS',
        'os.unlink(d + "/file")': 'EROFS',
        'os.rmdir(d + "/full/of")': 'EROFS',
        'os.rename(d + "/file", d + "/other")': 'EROFS',
        'os.chmod(d + "/file", 0o600)': 'EROFS',
        'os.chown(d + "/file", 1, 1)': 'EROFS',
        'os.utime(d + "/file", (1, 1))': 'EROFS',
        'os.setxattr(d + "/file", "user.k", b"v")': 'EROFS',
        'os.rename(d + "/file", d + "/../one/other")': 'EROFS',
      });
    });

    // By libfuse another user does not get there at all.
    it.runIf(isRoot && binding !== LIBFUSE)('what another user may not do', async () => {
      const place = at('one', 'owned');
      await mkdir(join(place, 'sticky'), { recursive: true });
      await mkdir(join(place, 'closed'), { mode: 0o700 });
      await writeFile(join(place, 'shown'), 'x', { mode: 0o644 });
      await writeFile(join(place, 'hidden'), 'x', { mode: 0o600 });
      await writeFile(join(place, 'sticky', 'file'), 'x', { mode: 0o666 });
      await chmod(join(place, 'sticky'), 0o1777);
      const expected = {
        'open(d + "/shown").read()': 'ok',
        'open(d + "/shown", "r+")': 'EACCES',
        'os.truncate(d + "/shown", 0)': 'EACCES',
        'open(d + "/hidden")': 'EACCES',
        'open(d + "/new", "w")': 'EACCES',
        'os.mkdir(d + "/new")': 'EACCES',
        'os.symlink("x", d + "/new")': 'EACCES',
        'os.unlink(d + "/shown")': 'EACCES',
        'os.rename(d + "/shown", d + "/other")': 'EACCES',
        'os.listdir(d + "/closed")': 'EACCES',
        'os.stat(d + "/closed/x")': 'EACCES',
        'os.chmod(d + "/shown", 0o666)': 'EPERM',
        'os.chown(d + "/shown", 1234, 1234)': 'EPERM',
        'os.utime(d + "/shown", (1, 1))': 'EPERM',
        'os.utime(d + "/shown")': 'EACCES',
        'os.setxattr(d + "/shown", "user.k", b"v")': 'EACCES',
        'os.setxattr(d + "/sticky/file", "trusted.k", b"v")': 'EPERM',
        'open(d + "/sticky/own", "w").write("x")': 'ok',
        'os.unlink(d + "/sticky/file")': 'EPERM',
        'os.rename(d + "/sticky/file", d + "/sticky/other")': 'EPERM',
        'os.rename(d + "/sticky/own", d + "/sticky/file")': 'EPERM',
        'os.unlink(d + "/sticky/own")': 'ok',
      };
      await refused(place, expected, { uid: SOMEBODY });
    });

    it('names and paths that are too long', async () => {
      const place = at('one', 'long');
      await mkdir(place);
      await refused(place, {
        'os.mkdir(d + "/" + 255 * "n")': 'ok',
        'open(d + "/" + 255 * "f", "w")': 'ok',
        'os.mkdir(d + "/" + 256 * "n")': 'ENAMETOOLONG',
        'open(d + "/" + 256 * "f", "w")': 'ENAMETOOLONG',
        'os.symlink("x", d + "/" + 256 * "l")': 'ENAMETOOLONG',
        'os.rename(d + "/" + 255 * "f", d + "/" + 256 * "f")': 'ENAMETOOLONG',
        'os.stat(d + "/" + 256 * "f")': 'ENAMETOOLONG',
        'os.stat(d + "/" + 128 * "ä")': 'ENAMETOOLONG',
        'os.stat(d + "/" + 127 * "ä")': 'ENOENT',
        'os.stat(d + 2048 * "/f")': 'ENAMETOOLONG',
        'os.symlink(4095 * "t", d + "/link")': 'ok',
        'os.symlink(4096 * "t", d + "/other")': 'ENAMETOOLONG',
        'os.stat(d + "/link")': 'ENAMETOOLONG',
        'os.symlink("", d + "/empty")': 'ENOENT',
      });
      // Step by step, as no call takes so long a path: 15 names of 255 fit into what a path may have, 17 do not.
      const step = 'os.mkdir(255 * "s"); os.chdir(255 * "s")';
      const steps = Array.from({ length: 17 }, (_, i) => `${step} # ${i}`);
      const said = Object.values(await attempts({ d: place }, ['os.chdir(d)', ...steps]));
      expect([said[1], said[15], said.at(-1)]).toEqual(['ok', 'ok', 'ENAMETOOLONG']);
    });

    it('symlinks that lead in a circle', async () => {
      const place = at('one', 'circle');
      await mkdir(place);
      await symlink('b', join(place, 'a'));
      await symlink('a', join(place, 'b'));
      await symlink('self/x', join(place, 'self'));
      await symlink('end', join(place, 'way0'));
      for (let i = 1; i <= 41; i++) await symlink(`way${i - 1}`, join(place, `way${i}`));
      await writeFile(join(place, 'end'), 'end');
      await refused(place, {
        'os.stat(d + "/a")': 'ELOOP',
        'open(d + "/b")': 'ELOOP',
        'open(d + "/a", "w")': 'ELOOP',
        'os.stat(d + "/self")': 'ELOOP',
        'os.mkdir(d + "/a/x")': 'ELOOP',
        'os.lstat(d + "/a")': 'ok',
        'os.open(d + "/way0", os.O_RDONLY | os.O_NOFOLLOW)': 'ELOOP',
        'open(d + "/way39").read()': 'ok',
        'open(d + "/way41")': 'ELOOP',
      });
    });

    it('what is no directory, a directory, there already, or not empty', async () => {
      await refused(at('one'), {
        'os.stat(d + "/file/x")': 'ENOTDIR',
        'os.stat(d + "/file/")': 'ENOTDIR',
        'os.mkdir(d + "/file/x")': 'ENOTDIR',
        'open(d + "/file/x", "w")': 'ENOTDIR',
        'os.rmdir(d + "/file")': 'ENOTDIR',
        'os.open(d + "/file", os.O_DIRECTORY)': 'ENOTDIR',
        'os.rename(d + "/full", d + "/file")': 'ENOTDIR',
        'os.rename(d + "/file", d + "/full/of")': 'EISDIR',
        'os.unlink(d + "/full")': 'EISDIR',
        'open(d + "/full", "w")': 'EISDIR',
        'os.open(d + "/full", os.O_RDWR)': 'EISDIR',
        'os.read(os.open(d + "/full", os.O_RDONLY), 1)': 'EISDIR',
        'os.truncate(d + "/full", 0)': 'EISDIR',
        'os.mkdir(d + "/full")': 'EEXIST',
        'os.symlink("x", d + "/file")': 'EEXIST',
        'os.open(d + "/file", os.O_CREAT | os.O_EXCL)': 'EEXIST',
        'renameat2(d + "/file", d + "/full", 1)': 'EEXIST',
        'os.rmdir(d + "/full")': 'ENOTEMPTY',
        'os.mkdir(d + "/empty"); os.rename(d + "/empty", d + "/full")': 'ENOTEMPTY',
        'os.rename(d + "/full", d + "/full/of/itself")': 'EINVAL',
        'os.rmdir(d + "/full/.")': 'EINVAL',
        'os.stat(d + "/none")': 'ENOENT',
        'os.unlink(d + "/none")': 'ENOENT',
        'open(d + "/none/x", "w")': 'ENOENT',
        'os.rename(d + "/none", d + "/x")': 'ENOENT',
        'os.getxattr(d + "/file", "user.none")': 'ENODATA',
        'os.removexattr(d + "/file", "user.none")': 'ENODATA',
        'os.truncate(d + "/file", 6 << 40)': 'EFBIG',
        'os.truncate(d + "/file", -1)': 'EINVAL',
      });
    });

    it('moves from one store to another, and out of the mount', async () => {
      await refused(stage.at, {
        'os.rename(d + "/one/file", d + "/two/other")': 'EXDEV',
        'os.rename(d + "/one/full", d + "/two/other")': 'EXDEV',
        'os.link(d + "/one/file", d + "/two/other")': 'EXDEV',
        'os.rename(d + "/one/file", d + "/../other")': 'EXDEV',
        'os.rename(d + "/one/file", d + "/other")': 'EXDEV',
      });
    });

    it('to take away or move what a store is mounted on', async () => {
      await refused(stage.at, {
        'os.rmdir(d + "/two")': 'EBUSY',
        'os.rename(d + "/two", d + "/moved")': 'EBUSY',
        'os.rmdir(d)': 'EBUSY',
        'os.rename(d, d + ".moved")': 'EBUSY',
        'os.mkdir(d + "/two")': 'EEXIST',
      });
    });

    it.runIf(!binding.isJoined)('all changes in the training profile', async () => {
      await stage.clear();
      stage = await openMountStage(home);
      const source = join(stage.folder, 'source');
      await mkdir(source);
      await writeFile(join(source, 'file'), 'text');
      await stage.start([source], { set: { 'fuse.profile': 'training' } });
      await refused(stage.at, {
        'open(d + "/file").read()': 'ok',
        'open(d + "/file", "r+")': 'EROFS',
        'open(d + "/new", "w")': 'EROFS',
        'os.mkdir(d + "/new")': 'EROFS',
        'os.unlink(d + "/file")': 'EROFS',
        'os.rename(d + "/file", d + "/other")': 'EROFS',
        'os.chmod(d + "/file", 0o600)': 'EROFS',
        'os.setxattr(d + "/file", "user.k", b"v")': 'EROFS',
      });
    });
  });
