import { describe, expect, it } from 'vitest';
import type { StoreKey } from '../model/inode.ts';
import { contentOf, mountOf, openNamespace, path, ROOT_USER as root } from '../../test/support/namespace.ts';
import { watchedStore } from '../../test/support/watched-store.ts';

async function openMounted(files: Readonly<Record<string, string>>) {
  const store = watchedStore();
  await store.put(files);
  const opened = await openNamespace({ storeOf: () => store });
  const { namespace } = opened;
  await namespace.mount(root, mountOf('/m'));
  const sync = () => namespace.sync(root, path('/m'), { recursive: true });
  return { ...opened, store, sync };
}

describe('a key that is an object and a prefix', () => {
  it('is a directory, with the object beside it', async () => {
    const { namespace, names, sync } = await openMounted({ a: 'object', 'a-b': '1', 'a/x': '22' });
    const expected = ['a/', 'a/x', 'a-b', 'a.leat-object'];
    expect(await names('/m')).toEqual(expected);
    const object = await namespace.stat(root, path('/m/a.leat-object'));
    expect([object.origin?.key, object.inode.size]).toEqual(['a', 6]);
    expect(await sync()).toBe(0);
    expect(await names('/m')).toEqual(expected);
  });

  it('is so on whatever pages the two stand', async () => {
    const between = Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`a-${i}`, '']));
    const { namespace, sync } = await openMounted({ ...between, a: 'object', 'a/x': '22' });
    await sync();
    expect((await namespace.stat(root, path('/m/a'))).inode.kind).toBe('directory');
    expect((await namespace.stat(root, path('/m/a.leat-object'))).inode.size).toBe(6);
    expect(await sync()).toBe(0);
  });

  it('becomes one or the other as the store does, each in one sync', async () => {
    const { store, names, sync } = await openMounted({ a: 'object' });
    expect(await names('/m')).toEqual(['a']);
    await store.put({ 'a/x': '1' });
    await sync();
    expect(await names('/m')).toEqual(['a/', 'a/x', 'a.leat-object']);
    await store.remove('a/x' as StoreKey, 'file');
    await sync();
    expect(await names('/m')).toEqual(['a']);
    await store.put({ 'a/x': '1' });
    await store.remove('a' as StoreKey, 'file');
    await sync();
    expect(await names('/m')).toEqual(['a/', 'a/x']);
    await store.put({ a: 'again' });
    await sync();
    expect(await names('/m')).toEqual(['a/', 'a/x', 'a.leat-object']);
    await store.remove('a' as StoreKey, 'file');
    await sync();
    expect(await names('/m')).toEqual(['a/', 'a/x']);
  });

  it('is removed and renamed as the two things that it is', async () => {
    const { namespace, store, names, settled, sync } = await openMounted({
      a: 'object',
      'a/x': '1',
      b: 'o',
      'b/y': '2',
    });
    await names('/m');
    await namespace.removeTree(root, path('/m/a'));
    await namespace.rename(root, path('/m/b.leat-object'), path('/m/c'));
    await settled();
    expect(await contentOf(store)).toEqual({ a: 'object', c: 'o', 'b/': '', 'b/y': '2' });
    await sync();
    expect(await names('/m')).toEqual(['a', 'b/', 'b/y', 'c']);
  });
});
