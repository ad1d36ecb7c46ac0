import { describe, expect, it } from 'vitest';
import {
  bytes,
  contentOf,
  mountOf,
  openNamespace,
  path,
  refused,
  ROOT_USER as root,
  user,
} from '../../test/support/namespace.ts';
import { watchedStore } from '../../test/support/watched-store.ts';

const mode = 0o755;

async function open() {
  const store = watchedStore();
  const opened = await openNamespace({ storeOf: () => store });
  const { namespace } = opened;
  return {
    ...opened,
    store,
    mkdir: (at: string) => namespace.mkdir(root, path(at), { mode, parents: true }),
    create: (at: string) => namespace.create(root, path(at), { mode }),
    write: (at: string, text: string) => namespace.write(root, path(at), bytes(text), { mode, size: text.length }),
    limit: (at: string, limits: { readonly bytes?: number; readonly entries?: number }) =>
      namespace.setQuota(root, path(at), limits),
    rename: (from: string, to: string) => namespace.rename(root, path(from), path(to)),
    used: async (at: string) => (await namespace.quotas(root, path(at)))[0]?.used,
  };
}

describe('quotas', () => {
  it('count what is below a directory when they are set', async () => {
    const { namespace, mkdir, create, limit, write, used } = await open();
    await namespace.mount(root, mountOf('/m'));
    await mkdir('/m/d/e');
    await create('/m/d/e/f');
    await write('/m/d/g', 'seven b');
    const made = await limit('/m/d', { bytes: 100, entries: 10 });
    expect(made).toEqual({ path: '/m/d', limits: { bytes: 100, entries: 10 }, used: { bytes: 7, entries: 3 } });
    expect(await namespace.quotas(root, path('/'))).toEqual([made]);
    expect(await namespace.quotas(root, path('/m/d/e'))).toEqual([]);
    await namespace.removeTree(root, path('/m/d/e'));
    expect(await used('/m/d')).toEqual({ bytes: 7, entries: 1 });
  });

  it('refuse the entry that is one too many, wherever it lies below, and let one in when another has gone', async () => {
    const { namespace, mkdir, create, limit } = await open();
    await mkdir('/d/e');
    await limit('/d', { entries: 3 });
    await create('/d/e/a');
    await namespace.symlink(root, path('/d/b'), 'a');
    await refused('quotaExceeded', create('/d/e/c'));
    await refused('quotaExceeded', mkdir('/d/c'));
    await refused('quotaExceeded', namespace.link(root, path('/d/b'), path('/d/c')));
    await refused('quotaExceeded', namespace.mknod(root, path('/d/c'), { kind: 'fifo', mode }));
    await refused('quotaExceeded', namespace.symlink(root, path('/d/c'), 'a'));
    await namespace.remove(root, path('/d/b'), 'file');
    await mkdir('/d/c');
    await refused('quotaExceeded', create('/d/c/d'));
    await create('/beside');
  });

  it('name the file, the directory whose quota it is, and what to do', async () => {
    const { mkdir, create, limit } = await open();
    await mkdir('/d');
    await limit('/d', { entries: 0 });
    await expect(create('/d/a')).rejects.toThrow(
      '/d/a: would make 1 of the 0 entries that the quota of /d allows; remove something, or raise it with `leat quota set`',
    );
  });

  it('refuse bytes over the limit before they go to the store, or take the object back', async () => {
    const { namespace, store, write, limit } = await open();
    await namespace.mount(root, mountOf('/m'));
    await write('/m/a', '12345');
    await limit('/m', { bytes: 8 });
    await refused('quotaExceeded', write('/m/b', '1234'));
    await refused('quotaExceeded', write('/m/a', '123456789'));
    expect(store.count('write')).toBe(1);
    await refused('quotaExceeded', namespace.write(root, path('/m/b'), bytes('1234'), { mode }));
    expect(await contentOf(store)).toEqual({ a: '12345' });
    await write('/m/b', '123');
    await write('/m/a', '1');
    await write('/m/c', '1234');
    expect((await namespace.quotas(root, path('/m')))[0]?.used).toEqual({ bytes: 8, entries: 3 });
  });

  it('refuse a file that an agent has written and say how much more it may', async () => {
    const { namespace, mkdir, limit } = await open();
    await mkdir('/d');
    const file = await namespace.create(root, path('/d/f'), { mode, holder: 'me' });
    const directory = (await namespace.stat(root, path('/d'))).inode.id;
    const at = { directory, name: 'f' as never, id: file.id };
    expect(await namespace.find(at)).not.toHaveProperty('bytesLeft');
    await limit('/d', { bytes: 100 });
    const content = { mtime: 0n, holder: 'me', generation: file.generation };
    expect(await namespace.written(root, at, { ...content, size: 60 })).toMatchObject({ inode: { size: 60 } });
    expect(await namespace.find(at)).toMatchObject({ bytesLeft: 40 });
    await refused('quotaExceeded', namespace.written(root, at, { ...content, size: 101 }));
    await namespace.written(root, at, { ...content, size: 100 });
    await namespace.written(root, at, { ...content, size: 10 });
    expect(await namespace.room(root, path('/d/f'))).toEqual({ bytes: { limit: 100, left: 90 } });
  });

  it('hold each where several lie in one another; the one that leaves least says what is left', async () => {
    const { namespace, mkdir, create, limit, used } = await open();
    await mkdir('/d/e');
    await limit('/d', { entries: 4, bytes: 1000 });
    await limit('/d/e', { entries: 2 });
    await create('/d/e/a');
    expect(await namespace.room(root, path('/d/e'))).toEqual({
      entries: { limit: 2, left: 1 },
      bytes: { limit: 1000, left: 1000 },
    });
    await create('/d/e/b');
    await refused('quotaExceeded', create('/d/e/c'));
    await create('/d/c');
    await refused('quotaExceeded', create('/d/x'));
    expect([await used('/d'), await used('/d/e')]).toMatchObject([{ entries: 4 }, { entries: 2 }]);
    await namespace.removeQuota(root, path('/d/e'));
    await namespace.remove(root, path('/d/c'), 'file');
    await create('/d/e/c');
    expect(await namespace.room(root, path('/'))).toEqual({});
  });

  it('count a directory that is moved in with all that it holds, and refuse it when that is too much', async () => {
    const { mkdir, create, limit, rename, used } = await open();
    await mkdir('/full/deep');
    for (const name of ['a', 'b', 'deep/c']) await create(`/full/${name}`);
    await mkdir('/d/e');
    await limit('/d', { entries: 5 });
    await refused('quotaExceeded', rename('/full', '/d/full'));
    await limit('/d', { entries: 7 });
    await rename('/full', '/d/full');
    expect(await used('/d')).toMatchObject({ entries: 6 });
    await rename('/d/full/deep', '/d/e/deep');
    expect(await used('/d')).toMatchObject({ entries: 6 });
    await rename('/d/e', '/e');
    expect(await used('/d')).toMatchObject({ entries: 3 });
    await create('/e/deep/d');
    await rename('/e', '/d/e');
    expect(await used('/d')).toMatchObject({ entries: 7 });
  });

  it('go where their directory goes, and with it', async () => {
    const { namespace, mkdir, create, limit, rename } = await open();
    await mkdir('/d');
    await limit('/d', { entries: 1 });
    await rename('/d', '/moved');
    await create('/moved/a');
    await refused('quotaExceeded', create('/moved/b'));
    expect((await namespace.quotas(root, path('/'))).map((each) => each.path)).toEqual(['/moved']);
    await namespace.removeTree(root, path('/moved'));
    expect(await namespace.quotas(root, path('/'))).toEqual([]);
    await mkdir('/moved');
    for (const name of ['a', 'b']) await create(`/moved/${name}`);
  });

  it('hold for all who make something at once', async () => {
    const { mkdir, create, limit, used } = await open();
    await mkdir('/d');
    await limit('/d', { entries: 10 });
    const made = await Promise.allSettled(Array.from({ length: 30 }, (_, i) => create(`/d/${i}`)));
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    expect(await used('/d')).toEqual({ entries: 10, bytes: 0 });
  });

  it('last, and are counted again, when the namespace is opened again', async () => {
    const { namespace, mkdir, create, limit, reopen } = await open();
    await mkdir('/d/e');
    await limit('/d', { entries: 2 });
    await create('/d/e/a');
    await namespace.close();
    const again = await reopen();
    await refused('quotaExceeded', again.namespace.create(root, path('/d/e/b'), { mode }));
    expect((await again.namespace.quotas(root, path('/')))[0]?.used.entries).toBe(2);
  });

  it('count what a store brings, over the limit too', async () => {
    const { namespace, store, limit, used, create } = await open();
    await store.put({ 'x/a': 'four', 'x/b': 'four', c: '1' });
    await namespace.mount(root, mountOf('/m'));
    await limit('/m', { entries: 2 });
    await namespace.sync(root, path('/m'), { recursive: true });
    expect(await used('/m')).toEqual({ entries: 4, bytes: 9 });
    await refused('quotaExceeded', create('/m/d'));
  });

  it('are for root and the owner to set, and for directories', async () => {
    const { namespace, mkdir, create, limit } = await open();
    await mkdir('/d');
    await create('/f');
    await refused('notPermitted', namespace.setQuota(user(1), path('/d'), { entries: 1 }));
    await refused('notPermitted', namespace.removeQuota(user(1), path('/d')));
    await refused('notDirectory', limit('/f', { entries: 1 }));
    await refused('invalid', limit('/d', {}));
    await refused('invalid', namespace.removeQuota(root, path('/d')));
    await limit('/d', { entries: 1 });
    await namespace.setAttributes(root, path('/'), { mode: 0o700 });
    expect(await namespace.quotas(root, path('/'))).toHaveLength(1);
    await refused('denied', namespace.quotas(user(1), path('/d')));
    expect(await namespace.quotas(user(1), path('/'))).toEqual([]);
  });
});
