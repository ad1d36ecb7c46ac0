import { describe, expect, it } from 'vitest';
import { openNamespace, path, refused, ROOT_USER as root, user } from '../../test/support/namespace.ts';

const mode = 0o755;
const [ann, bob] = [user(1, 7), user(2)];

/** `/home/ann` is Ann's with this mode, and holds `f` and `d/g`. */
async function openHome(bits: number) {
  const opened = await openNamespace();
  const { namespace } = opened;
  await namespace.mkdir(root, path('/home/ann'), { mode, parents: true });
  await namespace.setAttributes(root, path('/home/ann'), { uid: 1, gid: 7 });
  await namespace.create(ann, path('/home/ann/f'), { mode: 0o640 });
  await namespace.mkdir(ann, path('/home/ann/d'), { mode: 0o755 });
  await namespace.create(ann, path('/home/ann/d/g'), { mode: 0o644 });
  await namespace.setAttributes(ann, path('/home/ann'), { mode: bits });
  return namespace;
}

describe('permissions', () => {
  it('to search are asked of every directory on the way', async () => {
    const namespace = await openHome(0o700);
    for (const at of ['/home/ann/f', '/home/ann/d', '/home/ann/d/g', '/home/ann/nothing']) {
      await refused('denied', namespace.stat(bob, path(at)));
    }
    expect((await namespace.stat(bob, path('/home/ann'))).inode.mode).toBe(0o700);
    await expect(namespace.stat({ ...bob, checked: true }, path('/home/ann/d/g'))).resolves.toBeDefined();
  });

  it('to read and to search are two things', async () => {
    const namespace = await openHome(0o711);
    await refused('denied', namespace.list(bob, path('/home/ann'), { limit: 10 }));
    await expect(namespace.stat(bob, path('/home/ann/d/g'))).resolves.toBeDefined();
    await namespace.setAttributes(ann, path('/home/ann'), { mode: 0o744 });
    expect((await namespace.list(bob, path('/home/ann'), { limit: 10 })).entries).toHaveLength(2);
    await refused('denied', namespace.stat(bob, path('/home/ann/f')));
  });

  it('of the owner count before those of the group, and those before the rest', async () => {
    const namespace = await openHome(0o077);
    await refused('denied', namespace.stat(ann, path('/home/ann/f')));
    await expect(namespace.stat(user(3, 7), path('/home/ann/f'))).resolves.toBeDefined();
    await expect(namespace.stat(bob, path('/home/ann/f'))).resolves.toBeDefined();
    await namespace.setAttributes(root, path('/home/ann'), { mode: 0o707 });
    await refused('denied', namespace.stat(user(3, 7), path('/home/ann/f')));
  });

  it('to write a directory govern all that comes and goes in it', async () => {
    const namespace = await openHome(0o755);
    const at = (name: string) => path(`/home/ann/${name}`);
    await refused('denied', namespace.create(bob, at('x'), { mode }));
    await refused('denied', namespace.mkdir(bob, at('x'), { mode }));
    await refused('denied', namespace.symlink(bob, at('x'), 'f'));
    await refused('denied', namespace.remove(bob, at('f'), 'file'));
    await refused('denied', namespace.removeTree(bob, at('d')));
    await refused('denied', namespace.rename(bob, at('f'), at('g')));
    // What is there, or is not, is told to whoever may search.
    await refused('exists', namespace.mkdir(bob, at('d'), { mode }));
    await refused('notFound', namespace.remove(bob, at('x'), 'file'));
  });

  it('of a whole tree are those of its directory and of the one that holds it', async () => {
    const namespace = await openHome(0o777);
    await refused('denied', namespace.removeTree(bob, path('/home/ann/d')));
    await namespace.removeTree(bob, path('/home/ann/f'));
    await namespace.removeTree(ann, path('/home/ann/d'));
    expect((await namespace.list(ann, path('/home/ann'), { limit: 10 })).entries).toEqual([]);
  });

  it('of a directory that changes its parent include those to write it', async () => {
    const namespace = await openHome(0o777);
    await namespace.mkdir(root, path('/open'), { mode: 0o777 });
    await refused('denied', namespace.rename(bob, path('/home/ann/d'), path('/open/d')));
    await namespace.rename(bob, path('/home/ann/d'), path('/home/ann/e'));
    await namespace.rename(ann, path('/home/ann/e'), path('/open/e'));
  });

  it('in a sticky directory are the owners’', async () => {
    const namespace = await openHome(0o1777);
    const at = (name: string) => path(`/home/ann/${name}`);
    await namespace.create(bob, at('bobs'), { mode: 0o666 });
    await refused('notPermitted', namespace.remove(bob, at('f'), 'file'));
    await refused('notPermitted', namespace.rename(bob, at('f'), at('g')));
    await refused('notPermitted', namespace.rename(bob, at('bobs'), at('f')));
    await refused('notPermitted', namespace.remove(user(3, 7), at('bobs'), 'file'));
    await namespace.remove(ann, at('bobs'), 'file');
  });

  it('to mount are root’s and those of the user who runs the agent', async () => {
    const namespace = await openHome(0o755);
    const wanted = { path: path('/m'), uri: 'memory:', readOnly: false, syncIntervalMs: -1, options: {} };
    await refused('notPermitted', namespace.mount(bob, wanted));
    await namespace.mount(root, wanted);
    await refused('notPermitted', namespace.unmount(bob, path('/m')));
  });

  it('come with a new entry from its maker and its directory', async () => {
    const namespace = await openHome(0o777);
    await namespace.setAttributes(root, path('/home/ann'), { mode: 0o2777 });
    const file = await namespace.create(bob, path('/home/ann/s'), { mode: 0o2755 });
    expect([file.uid, file.gid, file.mode]).toEqual([2, 7, 0o755]);
    const own = await namespace.create(user(3, 7), path('/home/ann/t'), { mode: 0o2755 });
    expect(own.mode).toBe(0o2755);
    const directory = await namespace.mkdir(bob, path('/home/ann/sub'), { mode: 0o700 });
    expect([directory.gid, directory.mode]).toEqual([7, 0o2700]);
  });
});
