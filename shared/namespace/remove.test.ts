import { describe, expect, it } from 'vitest';
import { type InodeId, ROOT, TRASH } from '../model/ids.ts';
import type { Name } from '../model/names.ts';
import { contentOf, mountOf, openNamespace, path, refused, ROOT_USER as root } from '../../test/support/namespace.ts';
import { watchedStore } from '../../test/support/watched-store.ts';

const mode = 0o755;
const LEASE_MS = 10_000;

async function openMounted(files: Readonly<Record<string, string>>) {
  const store = watchedStore();
  await store.put(files);
  const opened = await openNamespace({ storeOf: () => store });
  await opened.namespace.mount(root, mountOf('/m'));
  return { ...opened, store };
}

describe('remove', () => {
  it('refuses what unlink(2) and rmdir(2) refuse', async () => {
    const { namespace } = await openNamespace();
    await namespace.mkdir(root, path('/d/e'), { mode, parents: true });
    await namespace.symlink(root, path('/l'), 'd');
    await refused('notFound', namespace.remove(root, path('/x'), 'file'));
    await refused('isDirectory', namespace.remove(root, path('/d'), 'file'));
    await refused('notDirectory', namespace.remove(root, path('/l'), 'directory'));
    await refused('notEmpty', namespace.remove(root, path('/d'), 'directory'));
    await refused('busy', namespace.remove(root, path('/'), 'directory'));
    await refused('busy', namespace.removeTree(root, path('/')));
    await refused('changed', namespace.remove(root, path('/l'), 'file', { id: 'another' as never }));
    await namespace.remove(root, path('/l'), 'file');
    await namespace.remove(root, path('/d/e'), 'directory');
    // A refusal leaves no mark behind: the directory goes on as before.
    await namespace.create(root, path('/d/f'), { mode });
    await refused('notEmpty', namespace.remove(root, path('/d'), 'directory'));
    expect((await namespace.stat(root, path('/d'))).inode.closing).toBeUndefined();
  });

  it('takes objects away, and finds entries that nobody has looked at', async () => {
    const { namespace, store, settled } = await openMounted({ a: '1', 'd/b': '2', 'e/c/d': '3' });
    await refused('notEmpty', namespace.remove(root, path('/m/d'), 'directory'));
    await namespace.remove(root, path('/m/a'), 'file');
    await namespace.remove(root, path('/m/d/b'), 'file');
    await namespace.remove(root, path('/m/d'), 'directory');
    await settled();
    expect(await contentOf(store)).toEqual({ 'e/': '', 'e/c/': '', 'e/c/d': '3' });
    expect(await namespace.sync(root, path('/m'))).toBe(0);
  });

  it('asks the store first where every access does', async () => {
    const store = watchedStore();
    const { namespace } = await openNamespace({ storeOf: () => store });
    await namespace.mount(root, mountOf('/m', { syncIntervalMs: 0 }));
    await namespace.mkdir(root, path('/m/d'), { mode });
    expect((await namespace.list(root, path('/m/d'), { limit: 10 })).entries).toEqual([]);
    await store.put({ 'd/new': '1' });
    await refused('notEmpty', namespace.remove(root, path('/m/d'), 'directory'));
  });

  it('leaves what a mount within holds', async () => {
    const { namespace } = await openMounted({ a: '1' });
    await namespace.mount(root, mountOf('/x/y/n'));
    for (const at of ['/m', '/x', '/x/y', '/x/y/n']) await refused('busy', namespace.removeTree(root, path(at)));
    await refused('busy', namespace.remove(root, path('/m'), 'directory'));
    await refused('busy', namespace.rename(root, path('/x'), path('/z')));
    await namespace.mkdir(root, path('/x/other'), { mode });
    await namespace.remove(root, path('/x/other'), 'directory');
  });
});

describe('remove of a tree', () => {
  it('is one commit, and its rows are reclaimed once no creator can be among them', async () => {
    const { namespace, metastore, names, advance } = await openNamespace();
    for (const at of ['/t/a/b/c', '/t/d', '/keep']) await namespace.mkdir(root, path(at), { mode, parents: true });
    for (let i = 0; i < 120; i++) await namespace.mkdir(root, path(`/t/a/d${i}/x`), { mode, parents: true });
    for (let i = 0; i < 250; i++) await namespace.create(root, path(`/t/a/b/f${i}`), { mode });
    const ids: InodeId[] = [];
    for (const at of ['/t', '/t/a', '/t/a/b', '/t/a/d119']) ids.push((await namespace.stat(root, path(at))).inode.id);
    const rowsOf = async () => (await Promise.all(ids.map((id) => metastore.list(id, { limit: 1000 })))).flat().length;
    const before = await rowsOf();
    await namespace.removeTree(root, path('/t'));
    expect(await names()).toEqual(['keep/']);
    expect(await rowsOf()).toBe(before);
    advance(LEASE_MS * 2);
    await expect.poll(rowsOf).toBe(0);
    await expect.poll(() => metastore.list(TRASH, { limit: 10 })).toEqual([]);
  });

  it('is reclaimed by the process that comes after', async () => {
    const { namespace, metastore, advance, reopen } = await openNamespace();
    await namespace.mkdir(root, path('/t/a'), { mode, parents: true });
    const { id } = (await namespace.stat(root, path('/t'))).inode;
    await namespace.removeTree(root, path('/t'));
    await namespace.close();
    advance(LEASE_MS * 2);
    await reopen();
    await expect.poll(() => metastore.list(id, { limit: 10 })).toEqual([]);
  });

  it('removes a file, a symlink, a tree, and all objects of more than one page', async () => {
    const files = Object.fromEntries(Array.from({ length: 2500 }, (_, i) => [`d/${i}`, 'x']));
    const { namespace, store, settled, names } = await openMounted({ ...files, 'd/e/f': '1', f: '2', keep: '3' });
    await namespace.symlink(root, path('/m/l'), 'f');
    for (const name of ['d', 'f', 'l']) await namespace.removeTree(root, path(`/m/${name}`));
    expect(await names('/m')).toEqual(['keep']);
    await settled();
    expect(await contentOf(store)).toEqual({ keep: '3' });
  });

  it('takes with it what is created in it meanwhile, in the store too', async () => {
    for (let i = 0; i < 20; i++) {
      const { namespace, store, settled, names } = await openMounted({ 'd/e/f': '1' });
      await namespace.stat(root, path('/m/d/e/f'));
      await Promise.allSettled([
        namespace.create(root, path('/m/d/e/g'), { mode }),
        namespace.removeTree(root, path('/m/d')),
        namespace.mkdir(root, path('/m/d/e/h'), { mode }),
      ]);
      await settled();
      expect(await names('/m')).toEqual([]);
      expect(await contentOf(store)).toEqual({});
    }
  });

  it('may be made again under the same name at once', async () => {
    const { namespace, store, settled, names } = await openMounted({ 'd/a': '1', 'd/b': '2' });
    await namespace.removeTree(root, path('/m/d'));
    await namespace.mkdir(root, path('/m/d'), { mode });
    await namespace.create(root, path('/m/d/c'), { mode });
    expect(await names('/m')).toEqual(['d/', 'd/c']);
    await settled();
    expect(await contentOf(store)).toEqual({ 'd/': '', 'd/c': '' });
    await namespace.sync(root, path('/m'), { recursive: true });
    expect(await names('/m')).toEqual(['d/', 'd/c']);
  });
});

describe('a directory that is being removed', () => {
  /** Marks `/d` as a remover does that then dies. */
  async function openMarked() {
    const opened = await openNamespace();
    const inode = await opened.namespace.mkdir(root, path('/d'), { mode });
    const key = { directory: ROOT, name: 'd' as Name };
    const mark = async (until: number) => {
      const [row] = await opened.metastore.get([key]);
      const closing = { token: 'dead', until };
      const marked = { ...row, version: row!.version + 1, closing } as typeof inode;
      await opened.metastore.commit([{ act: 'put', key, when: 'any', row: marked }]);
    };
    return { ...opened, key, id: inode.id, mark };
  }

  it('is open again when the lease of a remover who died is over', async () => {
    const { namespace, mark, advance } = await openMarked();
    await mark(Date.now() + LEASE_MS);
    const acts = [
      namespace.create(root, path('/d/f'), { mode }),
      namespace.setAttributes(root, path('/d'), { mode: 0o700 }),
      namespace.rename(root, path('/d'), path('/e')),
    ];
    advance(LEASE_MS * 2);
    const [, changed] = await Promise.allSettled(acts);
    const { inode } = await namespace.stat(root, path('/e'));
    // The rename may be the first, and then nothing is called /d any more.
    expect(inode.mode).toBe(changed?.status === 'fulfilled' ? 0o700 : mode);
    expect(inode.closing).toBeUndefined();
  });

  it('takes no entry: who has written one waits for the outcome, and takes it back when the directory goes', async () => {
    const { namespace, mark, metastore, key, id } = await openMarked();
    await mark(Date.now() + LEASE_MS);
    const creating = refused('notFound', namespace.create(root, path('/d/f'), { mode }));
    const looking = refused('notFound', namespace.stat(root, path('/d/f')));
    await expect.poll(() => metastore.list(id, { limit: 10 })).toHaveLength(1);
    await metastore.commit([{ act: 'remove', key, when: 'any' }]);
    await Promise.all([creating, looking]);
    expect(await metastore.list(id, { limit: 10 })).toEqual([]);
  });
});
