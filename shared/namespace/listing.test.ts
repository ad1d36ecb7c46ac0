import { describe, expect, it } from 'vitest';
import type { StoreKey } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import { bytes, mountOf, openNamespace, path, refused, ROOT_USER as root } from '../../test/support/namespace.ts';
import { watchedStore } from '../../test/support/watched-store.ts';

const mode = 0o644;

async function openMounted(files: Readonly<Record<string, string>>, syncIntervalMs = -1) {
  const store = watchedStore();
  await store.put(files);
  const opened = await openNamespace({ storeOf: () => store });
  await opened.namespace.mount(root, mountOf('/m', { syncIntervalMs }));
  store.calls.length = 0;
  return { ...opened, store };
}

const many = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`d/${String(i).padStart(6, '0')}`, 'x']));

describe('the first touch of a directory', () => {
  it('costs one page of the store for a thousand entries, and never a call for a file', async () => {
    const { namespace, store } = await openMounted(many(2500));
    const { entries } = await namespace.list(root, path('/m/d'), { limit: 10_000 });
    expect(entries).toHaveLength(2500);
    expect(store.calls).toEqual(['list ', 'list d', 'list d', 'list d']);
    await namespace.list(root, path('/m/d'), { limit: 10_000 });
    for (const { name } of entries.slice(0, 50)) await namespace.stat(root, path(`/m/d/${name}`));
    await refused('notFound', namespace.stat(root, path('/m/d/nothing')));
    expect(store.calls).toHaveLength(4);
  });

  it('is one listing, however many come at once', async () => {
    const { namespace, store } = await openMounted(many(10));
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        i % 2 ? namespace.list(root, path('/m/d'), { limit: 100 }) : namespace.stat(root, path(`/m/d/00000${i % 10}`)),
      ),
    );
    expect(store.calls).toEqual(['list ', 'list d']);
  });

  it('answers a lookup by one question while the rest of a large directory comes behind', async () => {
    const { namespace, store } = await openMounted(many(2500));
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    let pages = 0;
    store.meets = (call) => (call === 'list d' && ++pages > 1 ? gate : undefined);
    expect((await namespace.stat(root, path('/m/d/002400'))).inode.size).toBe(1);
    await refused('notFound', namespace.stat(root, path('/m/d/nothing')));
    expect(store.calls.filter((call) => call.startsWith('stat'))).toEqual(['stat d/002400', 'stat d/nothing']);
    letGo();
    expect((await namespace.list(root, path('/m/d'), { limit: 10_000 })).entries).toHaveLength(2500);
    expect(pages).toBe(3);
  });

  it('takes names and attributes as the store has them', async () => {
    const { namespace, store, logged } = await openMounted({ 'a b%': '1', ä: '2', 'bad//x': '3', 'bad/y': '4' });
    await store.write('own' as StoreKey, bytes('5'), { attributes: { mode: 0o600, uid: 3, gid: 4, mtime: -7n } });
    await store.makeSymlink('link' as StoreKey, 'own');
    expect((await namespace.stat(root, path('/m/own'))).inode).toMatchObject({
      mode: 0o600,
      uid: 3,
      gid: 4,
      mtime: -7n,
    });
    expect((await namespace.stat(root, path('/m/link'), { follow: true })).path).toBe('/m/own');
    const { entries } = await namespace.list(root, path('/m'), { limit: 10 });
    expect(entries.map(({ name }) => name)).toEqual(['a b%', 'bad', 'link', 'own', 'ä'].toSorted());
    expect((await namespace.list(root, path('/m/bad'), { limit: 10 })).entries.map(({ name }) => name)).toEqual(['y']);
    expect(logged.join()).toContain('1 keys have no name');
  });
});

describe('an outage of the store', () => {
  it('is never an absence, and what is known stays readable', async () => {
    const { namespace, store, advance } = await openMounted({ 'a/b': '1', c: '2', 'e/f': '3' }, 1000);
    await namespace.list(root, path('/m/a'), { limit: 10 });
    store.meets = () => 'unavailable';
    advance(100_000);
    expect((await namespace.stat(root, path('/m/a/b'))).inode.size).toBe(1);
    expect((await namespace.list(root, path('/m'), { limit: 10 })).entries).toHaveLength(3);
    await refused('notFound', namespace.stat(root, path('/m/a/nothing')));
    await refused('unavailable', namespace.stat(root, path('/m/e/f')));
    await refused('unavailable', namespace.stat(root, path('/m/e/nothing')));
    await refused('unavailable', namespace.list(root, path('/m/e'), { limit: 10 }));
    await refused('unavailable', namespace.sync(root, path('/m/a')));
    await refused('unavailable', namespace.create(root, path('/m/e/g'), { mode }));
    store.meets = undefined;
    expect((await namespace.stat(root, path('/m/e/f'))).inode.size).toBe(1);
  });

  it('in the middle of a listing leaves the directory unlisted, and what has come', async () => {
    const { namespace, store } = await openMounted(many(1500));
    let pages = 0;
    store.meets = (call) => (call === 'list d' && ++pages === 2 ? 'unavailable' : undefined);
    await refused('unavailable', namespace.list(root, path('/m/d'), { limit: 10_000 }));
    expect((await namespace.list(root, path('/m/d'), { limit: 10_000 })).entries).toHaveLength(1500);
  });

  it('is asked about by a listing behind only now and then', async () => {
    const { namespace, store, advance, logged } = await openMounted({ a: '1' }, 1000);
    await namespace.stat(root, path('/m/a'));
    advance(5000);
    store.calls.length = 0;
    store.meets = () => 'unavailable';
    for (let i = 0; i < 50; i++) await namespace.stat(root, path('/m/a'));
    expect(store.calls).toEqual(['list ']);
    expect(logged).toHaveLength(1);
  });

  it('shows rows where every access asks the store, too', async () => {
    const { namespace, store } = await openMounted({ a: '1' }, 0);
    await namespace.list(root, path('/m'), { limit: 10 });
    store.meets = () => 'unavailable';
    expect((await namespace.stat(root, path('/m/a'))).inode.size).toBe(1);
    expect((await namespace.list(root, path('/m'), { limit: 10 })).entries).toHaveLength(1);
    await refused('unavailable', namespace.stat(root, path('/m/b')));
  });
});

describe('sync', () => {
  it('follows what others do in the store, and touches only the rows that differ', async () => {
    const { namespace, store, names } = await openMounted({ a: '1', b: '2', 'd/x': '3', 'gone/y': '4', kind: '5' });
    await namespace.sync(root, path('/m'), { recursive: true });
    const before = (await namespace.stat(root, path('/m/a'))).inode;
    const known = (await namespace.stat(root, path('/m/b'))).inode;
    await store.put({ a: '9', new: '6', 'kind/z': '7' });
    for (const key of ['gone/y', 'kind']) await store.remove(key as StoreKey, 'file');
    // What changes its kind is counted as it goes and as it comes.
    expect(await namespace.sync(root, path('/m'))).toBe(5);
    expect(await names('/m')).toEqual(['a', 'b', 'd/', 'd/x', 'kind/', 'kind/z', 'new']);
    await refused('notFound', namespace.stat(root, path('/m/gone')));
    const after = (await namespace.stat(root, path('/m/a'))).inode;
    expect([after.id, after.generation]).toEqual([before.id, before.generation + 1]);
    expect((await namespace.stat(root, path('/m/b'))).inode).toEqual(known);
    expect(await namespace.sync(root, path('/m'), { recursive: true })).toBe(0);
  });

  it('sees what was there when it was called, though a listing was under way', async () => {
    const { namespace, store } = await openMounted({ a: '1' });
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const list = store.list;
    let isFirst = true;
    store.list = async (...given) => {
      const page = await list(...given);
      if (isFirst) {
        isFirst = false;
        await gate;
      }
      return page;
    };
    const first = namespace.list(root, path('/m'), { limit: 10 });
    await expect.poll(() => isFirst).toBe(false);
    await store.put({ b: '2' });
    const second = namespace.sync(root, path('/m'));
    letGo();
    expect((await first).entries).toHaveLength(1);
    expect(await second).toBe(1);
    expect((await namespace.stat(root, path('/m/b'))).inode.size).toBe(1);
  });

  it('runs behind readers when its interval is over, and before them when it is none', async () => {
    const { namespace, store, advance } = await openMounted({ a: '1' }, 1000);
    await namespace.list(root, path('/m'), { limit: 10 });
    await store.put({ b: '2' });
    await refused('notFound', namespace.stat(root, path('/m/b')));
    advance(5000);
    await refused('notFound', namespace.stat(root, path('/m/b')));
    await expect
      .poll(() =>
        namespace.stat(root, path('/m/b')).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);

    const eager = await openMounted({ a: '1' }, 0);
    await refused('notFound', eager.namespace.stat(root, path('/m/b')));
    await eager.store.put({ b: '2' });
    expect((await eager.namespace.stat(root, path('/m/b'))).inode.size).toBe(1);
    expect(eager.store.count('list')).toBe(0);
    await eager.store.put({ c: '3' });
    expect((await eager.namespace.list(root, path('/m'), { limit: 10 })).entries).toHaveLength(3);
    await eager.store.remove('c' as StoreKey, 'file');
    await refused('notFound', eager.namespace.stat(root, path('/m/c')));
  });

  it('brings nothing back that the store has yet to remove, and takes nothing away that it has yet to get', async () => {
    const { namespace, store, names, settled } = await openMounted({ a: '1', 'd/b': '2', f: '3' });
    await namespace.sync(root, path('/m'), { recursive: true });
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    store.meets = (call) => (/^(list|stat)/.test(call) ? undefined : gate);
    await namespace.remove(root, path('/m/a'), 'file');
    await namespace.removeTree(root, path('/m/d'));
    await namespace.rename(root, path('/m/f'), path('/m/g'));
    await namespace.create(root, path('/m/new'), { mode });
    await namespace.mkdir(root, path('/m/e'), { mode });
    await namespace.setAttributes(root, path('/m/g'), { mode: 0o600 });
    expect(await namespace.sync(root, path('/m'), { recursive: true })).toBe(0);
    const expected = ['e/', 'g', 'new'];
    expect(await names('/m')).toEqual(expected);
    expect((await namespace.stat(root, path('/m/g'))).inode.mode).toBe(0o600);
    letGo();
    await settled();
    await namespace.sync(root, path('/m'), { recursive: true });
    expect(await names('/m')).toEqual(expected);
    expect((await namespace.stat(root, path('/m/g'))).inode.mode).toBe(0o600);
  });

  it('that began before a removal was done does not bring the file back', async () => {
    const { namespace, store, names, settled } = await openMounted({ a: '1', b: '2' });
    await namespace.sync(root, path('/m'));
    const list = store.list;
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    store.list = async (...given) => {
      const page = await list(...given);
      await gate;
      return page;
    };
    const syncing = namespace.sync(root, path('/m'));
    await expect.poll(() => store.count('list')).toBeGreaterThan(1);
    await namespace.remove(root, path('/m/a'), 'file');
    await namespace.create(root, path('/m/c'), { mode });
    await settled();
    letGo();
    expect(await syncing).toBe(0);
    expect(await names('/m')).toEqual(['b', 'c']);
  });

  it('lets a directory go that is listed while it is removed, renamed or replaced', async () => {
    const { namespace, store, metastore } = await openMounted({ ...many(1500), 'e/x': '1' });
    const { id } = (await namespace.stat(root, path('/m/d'))).inode;
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    let pages = 0;
    store.meets = (call) => (call === 'list d' && ++pages === 2 ? gate : undefined);
    const listing = namespace.list(root, path('/m/d'), { limit: 10 });
    await expect.poll(() => pages).toBe(2);
    await namespace.removeTree(root, path('/m/d'));
    letGo();
    await refused('notFound', listing);
    expect((await metastore.list(id, { after: '001000' as Name, limit: 10 })).length).toBe(0);
  });
});
