import { describe, expect, it } from 'vitest';
import { openNamespace, path, refused, ROOT_USER as root } from '../../test/support/namespace.ts';

const mode = 0o755;

describe('the tree', () => {
  it('makes, lists, renames and removes', async () => {
    const { namespace, names } = await openNamespace();
    await namespace.mkdir(root, path('/a/b'), { mode, parents: true });
    await namespace.create(root, path('/a/b/f'), { mode: 0o640 });
    await namespace.symlink(root, path('/l'), 'a/b');
    expect((await namespace.stat(root, path('/l/f'))).path).toBe('/a/b/f');
    await namespace.rename(root, path('/a'), path('/c'));
    expect(await names()).toEqual(['c/', 'c/b/', 'c/b/f', 'l']);
    await expect(namespace.stat(root, path('/l/f'))).rejects.toMatchObject({ kind: 'notFound' });
    await expect(namespace.remove(root, path('/c/b'), 'directory')).rejects.toMatchObject({ kind: 'notEmpty' });
    await namespace.remove(root, path('/c/b/f'), 'file');
    await namespace.remove(root, path('/c/b'), 'directory');
    expect(await names()).toEqual(['c/', 'l']);
  });

  it('pages through a directory of any size', async () => {
    const { namespace } = await openNamespace();
    for (let i = 0; i < 25; i++) await namespace.create(root, path(`/f${String(i).padStart(2, '0')}`), { mode });
    const seen: string[] = [];
    for (let after: (typeof seen)[number] | undefined; ;) {
      const page = await namespace.list(root, path('/'), {
        limit: 10,
        ...(after !== undefined && { after: after as never }),
      });
      seen.push(...page.entries.map(({ name }) => name));
      after = page.next;
      if (after === undefined) break;
    }
    expect(seen).toHaveLength(25);
    expect(seen.toSorted()).toEqual(seen);
  });

  it('refuses what POSIX refuses', async () => {
    const { namespace } = await openNamespace();
    await namespace.mkdir(root, path('/d/e'), { mode, parents: true });
    await namespace.mkdir(root, path('/full/x'), { mode, parents: true });
    await namespace.create(root, path('/f'), { mode });
    await namespace.symlink(root, path('/loop'), 'loop');
    await refused('exists', namespace.mkdir(root, path('/d'), { mode }));
    await refused('exists', namespace.create(root, path('/d'), { mode }));
    await refused('notFound', namespace.create(root, path('/nope/f'), { mode }));
    await refused('notDirectory', namespace.create(root, path('/f/g'), { mode }));
    await refused('notDirectory', namespace.mkdir(root, path('/f/g'), { mode, parents: true }));
    await refused('exists', namespace.mkdir(root, path('/f'), { mode, parents: true }));
    await refused('invalid', namespace.rename(root, path('/d'), path('/d/e/d')));
    await refused('notEmpty', namespace.rename(root, path('/d'), path('/full')));
    await refused('isDirectory', namespace.rename(root, path('/f'), path('/d/e')));
    await refused('notDirectory', namespace.rename(root, path('/d'), path('/f')));
    await refused('exists', namespace.rename(root, path('/f'), path('/d'), { noReplace: true }));
    await refused('isDirectory', namespace.remove(root, path('/d'), 'file'));
    await refused('notDirectory', namespace.remove(root, path('/f'), 'directory'));
    await refused('busy', namespace.remove(root, path('/'), 'directory'));
    await refused('tooManyLinks', namespace.stat(root, path('/loop'), { follow: true }));
    await refused('changed', namespace.remove(root, path('/f'), 'file', { id: 'another' as never }));
    await refused('readOnly', namespace.write(root, path('/f'), (async function* () {})(), { mode }));
  });

  it('replaces files and empty directories, and leaves the same inode alone', async () => {
    const { namespace, names } = await openNamespace();
    const moved = await namespace.mkdir(root, path('/d'), { mode });
    await namespace.create(root, path('/d/f'), { mode });
    await namespace.mkdir(root, path('/empty'), { mode });
    await namespace.rename(root, path('/d'), path('/empty'));
    expect((await namespace.stat(root, path('/empty'))).inode.id).toBe(moved.id);
    const file = await namespace.create(root, path('/f'), { mode });
    await namespace.rename(root, path('/f'), path('/empty/f'));
    await namespace.rename(root, path('/empty/f'), path('/empty/f'));
    expect((await namespace.stat(root, path('/empty/f'))).inode.id).toBe(file.id);
    expect(await names()).toEqual(['empty/', 'empty/f']);
  });

  it('holds names of any bytes, in the order of the bytes', async () => {
    const { namespace } = await openNamespace();
    const given = ['\xff', '\x80', 'z', 'a\nb', ' ', '%20', '\xc3\xa4'];
    for (const name of given) await namespace.create(root, `/${name}` as never, { mode });
    const { entries } = await namespace.list(root, path('/'), { limit: 100 });
    expect(entries.map(({ name }) => name)).toEqual(given.toSorted((a, b) => (a < b ? -1 : 1)));
  });

  it('detaches a tree at once, and reclaims it once no creator can be in it any more', async () => {
    const { namespace, metastore, names, advance } = await openNamespace();
    await namespace.mkdir(root, path('/t/a/b'), { mode, parents: true });
    const { id } = (await namespace.stat(root, path('/t/a'))).inode;
    for (let i = 0; i < 250; i++) await namespace.create(root, path(`/t/a/f${i}`), { mode });
    await namespace.removeTree(root, path('/t'));
    expect(await names()).toEqual([]);
    expect(await metastore.list(id, { limit: 1000 })).toHaveLength(251);
    advance(20_000);
    await expect.poll(() => metastore.list(id, { limit: 1000 })).toEqual([]);
  });
});
