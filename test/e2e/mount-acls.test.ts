import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ACCESS_ACL, type Acl, DEFAULT_ACL, encodeAcl } from '#shared/namespace/acl.ts';
import { EMBEDDED, homeOf, JOINED } from '../support/bindings.ts';
import { openMountStage, type MountStage } from '../support/mounted.ts';
import { asUser } from '../support/other-users.ts';
import { HAS_PYTHON } from '../support/run.ts';

const isRoot = process.getuid?.() === 0;
const SEARCHABLE = 0o711;

/** With its mask, as soon as it names anybody. */
function hexOf(
  owner: number,
  group: number,
  other: number,
  named?: { id: number; bits: number; mask: number },
): string {
  const acl: Acl = [
    { tag: 'owner', bits: owner },
    ...(named ? [{ tag: 'user', id: named.id, bits: named.bits } as const] : []),
    { tag: 'owningGroup', bits: group },
    ...(named ? [{ tag: 'mask', bits: named.mask } as const] : []),
    { tag: 'other', bits: other },
  ];
  return Buffer.from(encodeAcl(acl), 'latin1').toString('hex');
}

for (const binding of [EMBEDDED, JOINED])
  describe.runIf(binding.isThere && isRoot && HAS_PYTHON)(`ACLs through a mount, ${binding.name}`, () => {
    const home = homeOf(binding);
    let stage: MountStage;
    let source: string;

    beforeEach(async () => {
      stage = await openMountStage(home);
      // Others are to reach the mount.
      await chmod(stage.folder, SEARCHABLE);
      source = await mkdtemp(join(stage.folder, 'source-'));
      await chmod(source, 0o755);
      await writeFile(join(source, 'f'), 'bytes', { mode: 0o640 });
    });
    afterEach(() => stage.clear());

    const as = (uid: number, code: string) => asUser(uid, stage.at, code);
    const set = (uid: number, at: string, name: string, hex: string) =>
      as(uid, `os.setxattr('${at}', '${name}', bytes.fromhex('${hex}'))`);
    const get = (at: string, name: string) => as(0, `print(os.getxattr('${at}', '${name}').hex())`);
    const modeOf = (at: string) => as(0, `print(oct(os.stat('${at}').st_mode & 0o7777))`);
    const READ = `print(open('f').read())`;

    it('are set, shown, and heeded by the kernel', async () => {
      await stage.start([source], { set: { 'fuse.acl': 'on' } });
      expect(await as(1001, READ)).toBe('[Errno 13]');
      const acl = hexOf(6, 0, 0, { id: 1001, bits: 4, mask: 4 });
      expect(await set(0, 'f', ACCESS_ACL, acl)).toBe('');
      expect([await get('f', ACCESS_ACL), await modeOf('f')]).toEqual([acl, '0o640']);
      expect(await as(0, `print(os.listxattr('f'))`)).toBe(`['${ACCESS_ACL}']`);
      expect([await as(1001, READ), await as(1002, READ)]).toEqual(['bytes', '[Errno 13]']);
      await chmod(join(stage.at, 'f'), 0o604);
      expect(await get('f', ACCESS_ACL)).toBe(hexOf(6, 0, 4, { id: 1001, bits: 4, mask: 0 }));
      await chmod(join(stage.at, 'f'), 0o640);
      expect(await as(1001, READ)).toBe('bytes');
      expect(await as(0, `os.removexattr('f', '${ACCESS_ACL}')`)).toBe('');
      expect([await as(1001, READ), await get('f', ACCESS_ACL)]).toEqual(['[Errno 13]', '[Errno 61]']);
    });

    it('are for owners to set, well formed, and where they make sense', async () => {
      await stage.start([source], { set: { 'fuse.acl': 'on' } });
      expect(await set(1001, 'f', ACCESS_ACL, hexOf(7, 7, 7))).toBe('[Errno 1]');
      expect(await set(0, 'f', ACCESS_ACL, '0200000001000700ffffffff')).toBe('[Errno 22]');
      expect(await set(0, 'f', DEFAULT_ACL, hexOf(7, 7, 7))).toBe('[Errno 13]');
      expect(await set(0, 'f', 'security.mine', '00')).toBe('[Errno 95]');
      const chown = `os.chown('f', 1001, 1002); os.chmod('f', 0o2755)`;
      expect(await as(0, chown)).toBe('');
      expect(await set(1001, 'f', ACCESS_ACL, hexOf(7, 5, 5, { id: 1003, bits: 7, mask: 7 }))).toBe('');
      expect(await modeOf('f')).toBe('0o775');
    });

    it('by default take the place of the umask', async () => {
      await stage.start([source], { set: { 'fuse.acl': 'on' } });
      const make = (name: string) => as(0, `os.umask(0o077)\nos.mkdir('${name}')`);
      await make('plain');
      expect(await modeOf('plain')).toBe('0o700');
      const acl = hexOf(7, 5, 0, { id: 1001, bits: 7, mask: 7 });
      await set(0, 'plain', DEFAULT_ACL, acl);
      await make('plain/sub');
      expect(await modeOf('plain/sub')).toBe('0o770');
      expect([await get('plain/sub', ACCESS_ACL), await get('plain/sub', DEFAULT_ACL)]).toEqual([acl, acl]);
      await chmod(join(stage.at, 'plain'), 0o711);
      expect(await as(1001, `os.umask(0)\nos.mkdir('plain/sub/theirs')`)).toBe('');
      expect(await as(1002, `os.listdir('plain/sub')`)).toBe('[Errno 13]');
    });

    it('are unknown to a mount without them, which hides trusted attributes from users as others do', async () => {
      await stage.start([source]);
      expect(await set(0, 'f', ACCESS_ACL, hexOf(7, 7, 7))).toBe('[Errno 95]');
      expect(await get('f', ACCESS_ACL)).toBe('[Errno 95]');
      await as(0, `os.chmod('f', 0o644); os.setxattr('f', 'trusted.a', b'1'); os.setxattr('f', 'user.b', b'2')`);
      expect(await as(0, `print(sorted(os.listxattr('f')))`)).toBe(`['trusted.a', 'user.b']`);
      expect(await as(1001, `print(os.listxattr('f'), os.getxattr('f', 'user.b'))`)).toBe(`['user.b'] b'2'`);
    });
  });
