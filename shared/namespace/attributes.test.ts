import { describe, expect, it } from 'vitest';
import { TIME_MAX } from '../model/inode.ts';
import { bytes, mountOf, openNamespace, path, refused, ROOT_USER as root, user } from '../../test/support/namespace.ts';
import { watchedStore } from '../../test/support/watched-store.ts';

const [ann, bob] = [user(1, 7), user(2)];
const F = path('/f');

/** `/f` is Ann's, of group 7. */
async function openFile(mode: number) {
  const opened = await openNamespace();
  await opened.namespace.setAttributes(root, path('/'), { mode: 0o777 });
  await opened.namespace.create({ ...ann, gid: 7 }, F, { mode });
  return opened;
}

describe('attributes', () => {
  it('change as chmod(2) has it', async () => {
    const { namespace } = await openFile(0o644);
    await refused('notPermitted', namespace.setAttributes(bob, F, { mode: 0o777 }));
    const before = (await namespace.stat(root, F)).inode;
    const after = await namespace.setAttributes(ann, F, { mode: 0o6755 });
    expect(after).toMatchObject({ mode: 0o6755, mtime: before.mtime, atime: before.atime, id: before.id });
    expect(after.ctime).toBeGreaterThanOrEqual(before.ctime);
    await namespace.setAttributes(root, F, { gid: 9 });
    expect((await namespace.setAttributes(ann, F, { mode: 0o6755 })).mode).toBe(0o4755);
  });

  it('change as chown(2) has it', async () => {
    const { namespace } = await openFile(0o644);
    await refused('notPermitted', namespace.setAttributes(ann, F, { uid: 2 }));
    await refused('notPermitted', namespace.setAttributes(ann, F, { gid: 9 }));
    await refused('notPermitted', namespace.setAttributes(bob, F, { gid: 2 }));
    // To leave things as they are is a change of who they are left by.
    await refused('notPermitted', namespace.setAttributes(bob, F, { uid: 1, gid: 7 }));
    expect((await namespace.setAttributes(user(1, 8), F, { uid: 1, gid: 8 })).gid).toBe(8);
    expect((await namespace.setAttributes(root, F, { uid: 2, gid: 9 })).uid).toBe(2);
  });

  it('lose the set-id bits of a file that is given away, and of no directory', async () => {
    const { namespace } = await openFile(0o644);
    for (const [before, after] of [
      [0o6755, 0o755],
      [0o6644, 0o2644],
      [0o4600, 0o600],
    ] as const) {
      await namespace.setAttributes(root, F, { mode: before });
      expect((await namespace.setAttributes(root, F, { uid: 1 })).mode).toBe(after);
    }
    await namespace.mkdir(root, path('/d'), { mode: 0o755 });
    await namespace.setAttributes(root, path('/d'), { mode: 0o2755 });
    expect((await namespace.setAttributes(root, path('/d'), { uid: 1 })).mode).toBe(0o2755);
  });

  it('hold times as utimensat(2) sets them', async () => {
    const { namespace } = await openFile(0o620);
    const writer = user(3, 7);
    expect(await namespace.setAttributes(ann, F, { atime: -5n, mtime: 7n })).toMatchObject({ atime: -5n, mtime: 7n });
    expect((await namespace.setAttributes(writer, F, { atime: 'now', mtime: 'now' })).mtime).toBeGreaterThan(7n);
    await refused('notPermitted', namespace.setAttributes(writer, F, { mtime: 'now' }));
    await refused('notPermitted', namespace.setAttributes(writer, F, { atime: 1n, mtime: 1n }));
    await refused('denied', namespace.setAttributes(bob, F, { atime: 'now', mtime: 'now' }));
    expect((await namespace.setAttributes(ann, F, { mtime: 10n ** 20n })).mtime).toBe(TIME_MAX);
  });

  it('are refused on a read-only mount, and of another file than was meant', async () => {
    const store = watchedStore();
    await store.put({ a: 'x' });
    const { namespace } = await openNamespace({ storeOf: () => store });
    await namespace.mount(root, mountOf('/m', { readOnly: true }));
    await refused('readOnly', namespace.setAttributes(root, path('/m/a'), { mode: 0 }));
    await refused('readOnly', namespace.setXattr(root, path('/m/a'), 'user.a', '', 'set'));
    await namespace.create(root, F, { mode: 0o644 });
    await refused('changed', namespace.setAttributes(root, F, { mode: 0 }, { id: 'another' as never }));
  });

  it('change the file that has the name, when another has taken it that counts the same version', async () => {
    let before: (() => Promise<unknown>) | undefined;
    const { namespace } = await openNamespace({
      wrap: (inner) => ({
        ...inner,
        async commit(...given) {
          const act = before;
          before = undefined;
          await act?.();
          return inner.commit(...given);
        },
      }),
    });
    const old = await namespace.create(root, F, { mode: 0o644 });
    let fresh = old;
    before = async () => {
      await namespace.remove(root, F, 'file');
      fresh = await namespace.create(root, F, { mode: 0o644 });
    };
    const after = await namespace.setAttributes(root, F, { mode: 0o600 });
    expect([fresh.version, after.id]).toEqual([old.version, fresh.id]);
    expect((await namespace.stat(root, F)).inode).toEqual(after);
  });

  it('reach the store, and are the same after the next sync', async () => {
    const store = watchedStore();
    const { namespace, settled } = await openNamespace({ storeOf: () => store });
    await namespace.mount(root, mountOf('/m'));
    await namespace.write(root, path('/m/a'), bytes('x'), { mode: 0o644 });
    await namespace.setAttributes(root, path('/m/a'), { mode: 0o600, uid: 3, gid: 4, mtime: 5n });
    await settled();
    expect(await store.stat('a' as never)).toMatchObject({ mode: 0o600, uid: 3, gid: 4, mtime: 5n });
    const before = (await namespace.stat(root, path('/m/a'))).inode;
    expect(await namespace.sync(root, path('/m'))).toBe(0);
    expect((await namespace.stat(root, path('/m/a'))).inode).toEqual(before);
    expect(store.count('setAttributes')).toBe(1);
  });

  it('are not those of a listing, which knows no more of a version than when it came to the store', async () => {
    const store = watchedStore();
    const { namespace, settled } = await openNamespace({ storeOf: () => store });
    await namespace.mount(root, mountOf('/m'));
    const list = store.list;
    store.list = async (...args) => {
      const page = await list(...args);
      return { ...page, entries: page.entries.map((entry) => ({ ...entry, mtime: 7_000_000_000n })) };
    };
    await namespace.write(root, path('/m/a'), bytes('x'), { mode: 0o644 });
    await namespace.setAttributes(root, path('/m/a'), { mtime: 5n });
    await settled();
    await namespace.sync(root, path('/m'));
    expect((await namespace.stat(root, path('/m/a'))).inode.mtime).toBe(5n);
    await store.put({ a: 'another' });
    await namespace.sync(root, path('/m'));
    expect((await namespace.stat(root, path('/m/a'))).inode.mtime).toBe(7_000_000_000n);
    await namespace.setAttributes(root, path('/m/a'), { mtime: 7_000_000_119n });
    await store.put({ a: 'a third' });
    await namespace.sync(root, path('/m'));
    expect((await namespace.stat(root, path('/m/a'))).inode).toMatchObject({ size: 7, mtime: 7_000_000_119n });
  });
});

describe('times of a directory', () => {
  it('follow what comes and goes in it', async () => {
    const { namespace } = await openNamespace();
    await namespace.mkdir(root, path('/d'), { mode: 0o755 });
    const timeOf = async () => (await namespace.stat(root, path('/d'))).inode.mtime;
    await namespace.setAttributes(root, path('/d'), { mtime: 5n });
    for (const act of [
      () => namespace.create(root, path('/d/f'), { mode: 0o644 }),
      () => namespace.rename(root, path('/d/f'), path('/d/g')),
      () => namespace.remove(root, path('/d/g'), 'file'),
    ]) {
      await act();
      await expect.poll(timeOf).toBeGreaterThan(5n);
      await namespace.setAttributes(root, path('/d'), { mtime: 5n });
      expect(await timeOf()).toBe(5n);
    }
  });

  it('say when that was, however much later they are written, and take no later change back', async () => {
    const { namespace, advance } = await openNamespace();
    await namespace.mkdir(root, path('/d'), { mode: 0o755 });
    await namespace.create(root, path('/d/f'), { mode: 0o644 });
    const { ctime } = await namespace.create(root, path('/d/g'), { mode: 0o644 });
    advance(60_000);
    const changed = await namespace.setAttributes(root, path('/d'), { mode: 0o700 });
    const timesOf = async () => (await namespace.stat(root, path('/d'))).inode;
    await expect.poll(async () => (await timesOf()).mtime).toBeGreaterThanOrEqual(ctime);
    const after = await timesOf();
    expect(after.mtime - ctime).toBeLessThan(30_000_000_000n);
    expect(after).toMatchObject({ mode: 0o700, ctime: changed.ctime });
  });
});

describe('extended attributes', () => {
  it('are set, replaced and removed', async () => {
    const { namespace, reopen } = await openFile(0o666);
    const set = (name: string, value: string, how: 'set' | 'create' | 'replace' = 'set', actor = root) =>
      namespace.setXattr(actor, F, name, value, how);
    expect((await set('user.a', '\0\xff')).xattrs).toEqual({ 'user.a': '\0\xff' });
    await refused('exists', set('user.a', '2', 'create'));
    await refused('noAttribute', set('user.b', '2', 'replace'));
    await set('user.b', '', 'create');
    const again = await reopen();
    expect((await again.namespace.stat(root, F)).inode.xattrs).toEqual({ 'user.a': '\0\xff', 'user.b': '' });
    await namespace.removeXattr(root, F, 'user.b');
    expect((await namespace.removeXattr(root, F, 'user.a')).xattrs).toEqual({});
    await refused('noAttribute', namespace.removeXattr(root, F, 'user.a'));
  });

  it('have names and sizes that Linux allows', async () => {
    const { namespace } = await openFile(0o666);
    const set = (name: string, value: string, actor = root) => namespace.setXattr(actor, F, name, value, 'set');
    await refused('unsupported', set('security.x', '2'));
    await refused('notPermitted', set('trusted.x', '2', ann));
    await refused('nameTooLong', set(`user.${'x'.repeat(251)}`, ''));
    await refused('tooLarge', set('user.big', 'x'.repeat(65_537)));
    await set('user.1', 'x'.repeat(65_536));
    await refused('noSpace', set('user.2', 'x'.repeat(65_536)));
  });

  it('are for those who may write the file', async () => {
    const { namespace } = await openFile(0o644);
    await refused('denied', namespace.setXattr(bob, F, 'user.a', '1', 'set'));
    await namespace.setXattr(ann, F, 'user.a', '1', 'set');
    await refused('denied', namespace.removeXattr(bob, F, 'user.a'));
  });
});
