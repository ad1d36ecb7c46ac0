import { describe, expect, it } from 'vitest';
import { mountOf, openNamespace, path, refused, ROOT_USER as root, user } from '../../test/support/namespace.ts';
import { watchedStore } from '../../test/support/watched-store.ts';
import { ACCESS_ACL, type Acl, DEFAULT_ACL, encodeAcl, parseAcl } from './acl.ts';

const [ann, bob, cid] = [user(1), user(2), user(3, 7)];
const F = path('/f');
const D = path('/d');

const aclOf = (owner: number, group: number, other: number, named: Acl = [], mask = 7): Acl => [
  { tag: 'owner', bits: owner },
  ...named.filter(({ tag }) => tag === 'user'),
  { tag: 'owningGroup', bits: group },
  ...named.filter(({ tag }) => tag === 'group'),
  ...(named.length > 0 ? [{ tag: 'mask', bits: mask } as const] : []),
  { tag: 'other', bits: other },
];
const BOB_WRITES: Acl = [{ tag: 'user', id: 2, bits: 6 }];

/** `/f` and `/d` are Ann's. */
async function openHome() {
  const { namespace, reopen } = await openNamespace();
  await namespace.setAttributes(root, path('/'), { mode: 0o777 });
  await namespace.create(ann, F, { mode: 0o640 });
  await namespace.mkdir(ann, D, { mode: 0o755 });
  const set = (actor: typeof ann, at: typeof F, name: string, acl: Acl) =>
    namespace.setXattr(actor, at, name, encodeAcl(acl), 'set');
  const accessOf = async (at: typeof F) => {
    const { mode, xattrs } = (await namespace.stat(root, at)).inode;
    return { mode, acl: parseAcl(xattrs?.[ACCESS_ACL] ?? '') };
  };
  return { namespace, reopen, set, accessOf };
}

describe('an access ACL', () => {
  it('lets in whom it names, and shows its mask as the mode of the group', async () => {
    const { namespace, set, reopen } = await openHome();
    await refused('denied', namespace.setXattr(bob, F, 'user.a', '', 'set'));
    const named: Acl = [...BOB_WRITES, { tag: 'group', id: 7, bits: 4 }];
    expect((await set(ann, F, ACCESS_ACL, aclOf(6, 0, 0, named, 6))).mode).toBe(0o660);
    await namespace.setXattr(bob, F, 'user.a', '1', 'set');
    await refused('denied', namespace.setXattr(cid, F, 'user.a', '2', 'set'));
    const again = (await reopen()).namespace;
    await again.setXattr(bob, F, 'user.a', '3', 'set');
    await again.removeXattr(ann, F, ACCESS_ACL);
    await refused('denied', again.setXattr(bob, F, 'user.a', '4', 'set'));
    await refused('noAttribute', again.removeXattr(ann, F, ACCESS_ACL));
  });

  it('keeps whom it names out, too', async () => {
    const { namespace, set } = await openHome();
    await set(ann, D, ACCESS_ACL, aclOf(7, 5, 5, [{ tag: 'user', id: 2, bits: 0 }], 5));
    await refused('denied', namespace.list(bob, D, { limit: 1 }));
    await expect(namespace.list(cid, D, { limit: 1 })).resolves.toBeDefined();
  });

  it('follows chmod, which sets the mask', async () => {
    const { namespace, set, accessOf } = await openHome();
    await set(ann, F, ACCESS_ACL, aclOf(6, 4, 0, BOB_WRITES, 6));
    await namespace.setAttributes(ann, F, { mode: 0o4604 });
    expect(await accessOf(F)).toEqual({ mode: 0o4604, acl: aclOf(6, 4, 4, BOB_WRITES, 0) });
    await refused('denied', namespace.setXattr(bob, F, 'user.a', '1', 'set'));
    await namespace.setAttributes(ann, F, { mode: 0o660 });
    await namespace.setXattr(bob, F, 'user.a', '1', 'set');
  });

  it('that says no more than a mode is the mode', async () => {
    const { set, accessOf } = await openHome();
    await set(ann, F, ACCESS_ACL, aclOf(6, 4, 0, BOB_WRITES, 6));
    await set(ann, F, ACCESS_ACL, aclOf(7, 1, 2));
    expect(await accessOf(F)).toEqual({ mode: 0o712, acl: undefined });
    await set(ann, F, ACCESS_ACL, aclOf(6, 4, 0, BOB_WRITES, 6));
    await set(ann, F, ACCESS_ACL, []);
    expect(await accessOf(F)).toEqual({ mode: 0o660, acl: undefined });
  });

  it('is for the owner to set, on what has a mode, and well formed', async () => {
    const { namespace, set } = await openHome();
    await refused('notPermitted', set(bob, F, ACCESS_ACL, aclOf(7, 7, 7)));
    await refused('notPermitted', namespace.removeXattr(bob, F, ACCESS_ACL));
    await refused('invalid', set(ann, F, ACCESS_ACL, BOB_WRITES));
    await refused('invalid', namespace.setXattr(ann, F, ACCESS_ACL, 'rwx', 'set'));
    await refused('denied', set(ann, F, DEFAULT_ACL, aclOf(7, 7, 7)));
    const many: Acl = Array.from({ length: 600 }, (_, id) => ({ tag: 'user', id, bits: 7 }));
    await refused('tooLarge', set(ann, F, ACCESS_ACL, aclOf(7, 7, 7, many)));
    await namespace.symlink(ann, path('/s'), 'f');
    await refused('unsupported', set(ann, path('/s'), ACCESS_ACL, aclOf(7, 7, 7)));
  });

  it('of a file of a group that is not one’s own takes setgid away', async () => {
    const { namespace, set } = await openHome();
    await namespace.setAttributes(root, F, { mode: 0o2755, gid: 9 });
    expect((await set(ann, F, ACCESS_ACL, aclOf(7, 5, 5, BOB_WRITES))).mode).toBe(0o775);
    await namespace.setAttributes(root, F, { mode: 0o2755 });
    expect((await set(root, F, ACCESS_ACL, aclOf(7, 5, 5, BOB_WRITES))).mode).toBe(0o2775);
  });

  it('keeps step with the mode that the store has', async () => {
    const store = watchedStore();
    await store.put({ a: 'x' });
    const { namespace, settled } = await openNamespace({ storeOf: () => store });
    await namespace.mount(root, mountOf('/m'));
    const at = path('/m/a');
    await namespace.setXattr(root, at, ACCESS_ACL, encodeAcl(aclOf(6, 4, 0, BOB_WRITES, 6)), 'set');
    await settled();
    expect(await store.stat('a' as never)).toMatchObject({ mode: 0o660 });
    await store.setAttributes('a' as never, { mode: 0o600, uid: 0, gid: 0, mtime: 5n });
    await namespace.sync(root, path('/m'));
    const { mode, xattrs } = (await namespace.stat(root, at)).inode;
    expect([mode, parseAcl(xattrs?.[ACCESS_ACL] ?? '')]).toEqual([0o600, aclOf(6, 4, 0, BOB_WRITES, 0)]);
  });
});

describe('a default ACL', () => {
  it('is what new entries begin with, in place of the umask', async () => {
    const { namespace, set, accessOf } = await openHome();
    const inside = (name: string) => path(`/d/${name}`);
    const byDefault = aclOf(7, 5, 0, BOB_WRITES, 7);
    await set(ann, D, DEFAULT_ACL, byDefault);
    await namespace.create(ann, inside('f'), { mode: 0o666, umask: 0o077 });
    expect(await accessOf(inside('f'))).toEqual({ mode: 0o660, acl: aclOf(6, 5, 0, BOB_WRITES, 6) });
    const made = await namespace.mkdir(ann, inside('sub'), { mode: 0o1770, umask: 0o077 });
    expect([made.mode, made.xattrs?.[DEFAULT_ACL]]).toEqual([0o1770, encodeAcl(byDefault)]);
    await namespace.create(ann, inside('sub/g'), { mode: 0o600, umask: 0 });
    expect(await accessOf(inside('sub/g'))).toEqual({ mode: 0o600, acl: aclOf(6, 5, 0, BOB_WRITES, 0) });
    const link = await namespace.symlink(ann, inside('l'), 'f');
    expect([link.mode, link.xattrs]).toEqual([0o777, undefined]);
  });

  it('that names nobody gives a mode only', async () => {
    const { namespace, set } = await openHome();
    await set(ann, D, DEFAULT_ACL, aclOf(7, 5, 1));
    const file = await namespace.create(ann, path('/d/f'), { mode: 0o666, umask: 0o777 });
    expect([file.mode, file.xattrs]).toEqual([0o640, undefined]);
  });

  it('is missed where there is none: the umask counts', async () => {
    const { namespace, set } = await openHome();
    await set(ann, D, DEFAULT_ACL, aclOf(7, 7, 7));
    await set(ann, D, DEFAULT_ACL, []);
    expect((await namespace.create(ann, path('/d/f'), { mode: 0o4666, umask: 0o027 })).mode).toBe(0o4640);
    expect((await namespace.mkdir(ann, path('/d/sub'), { mode: 0o777, umask: 0o022 })).mode).toBe(0o755);
  });
});

describe('extended attributes of users', () => {
  it('are for files and directories, and in sticky directories for the owner', async () => {
    const { namespace } = await openHome();
    await namespace.symlink(ann, path('/s'), 'f');
    await refused('notPermitted', namespace.setXattr(ann, path('/s'), 'user.a', '', 'set'));
    await namespace.setXattr(root, path('/s'), 'trusted.a', '', 'set');
    await namespace.setAttributes(ann, D, { mode: 0o777 });
    await namespace.setXattr(bob, D, 'user.a', '', 'set');
    await namespace.setAttributes(ann, D, { mode: 0o1777 });
    await refused('notPermitted', namespace.setXattr(bob, D, 'user.a', '', 'set'));
    await namespace.setXattr(ann, D, 'user.a', '', 'set');
  });
});
