import { describe, expect, it } from 'vitest';
import type { EmbeddedMetastore } from '#agent/embedded/heap-metastore.ts';
import { LINKED } from '../model/ids.ts';
import { type Path, toText } from '../model/names.ts';
import { bytes, contentOf, mountOf, openNamespace, path, ROOT_USER as root } from '../../test/support/namespace.ts';
import { watchedStore } from '../../test/support/watched-store.ts';

const mode = 0o755;
const LEASE_MS = 10_000;

async function openMounted(files: Readonly<Record<string, string>>, options = {}) {
  const store = watchedStore();
  await store.put(files);
  const opened = await openNamespace({ storeOf: () => store });
  const { namespace, settled, metastore } = opened;
  await namespace.mount(root, mountOf('/m', options));
  await namespace.sync(root, path('/m'), { recursive: true });
  const at = (text: string): Path => path(`/m/${text}`);
  const link = (from: string, to: string) => namespace.link(root, at(from), at(to));
  const keysIn = async () => {
    await settled();
    return contentOf(store);
  };
  const keyOf = async (text: string) => (await namespace.stat(root, at(text))).origin?.key;
  const notes = async () => (await metastore.list(LINKED, { limit: 10 })).length;
  return { ...opened, store, at, link, keysIn, keyOf, notes };
}

describe('hard links of what lies in a store', () => {
  it('are one object, whatever is synced', async () => {
    const { namespace, at, link, keysIn, keyOf, names, store } = await openMounted({ a: '1', 'd/x': '2' });
    await link('a', 'd/b');
    await link('d/b', 'c');
    expect(await keysIn()).toEqual({ a: '1', 'd/': '', 'd/x': '2' });
    expect([await keyOf('a'), await keyOf('d/b'), await keyOf('c')]).toEqual(['a', 'a', 'a']);
    expect(await namespace.sync(root, path('/m'), { recursive: true })).toBe(0);
    expect(await names('/m')).toEqual(['a', 'c', 'd/', 'd/b', 'd/x']);
    await store.put({ a: 'changed', 'd/b': 'of another' });
    await namespace.sync(root, path('/m'), { recursive: true });
    expect((await namespace.stat(root, at('d/b'))).inode.size).toBe(7);
    await namespace.write(root, at('d/b'), bytes('more'), { mode });
    expect(await keysIn()).toMatchObject({ a: 'more' });
    expect((await namespace.stat(root, at('a'))).inode).toMatchObject({ size: 4, generation: 3 });
  });

  it('vanish together with the object', async () => {
    const { namespace, link, store, names, notes } = await openMounted({ a: '1', 'd/x': '2' });
    await link('a', 'd/b');
    expect(await notes()).toBe(1);
    await store.remove('a' as never, 'file');
    await namespace.sync(root, path('/m'), { recursive: true });
    expect(await names('/m')).toEqual(['d/', 'd/x']);
    expect(await notes()).toBe(0);
  });

  it('hand the object on when the name whose key it has goes, or is moved', async () => {
    const { namespace, at, link, keysIn, keyOf, notes } = await openMounted({ a: '1', 'd/x': '2', e: '3' });
    await link('a', 'd/b');
    await link('a', 'c');
    await namespace.rename(root, at('c'), at('d/c'));
    expect(await keysIn()).toEqual({ a: '1', 'd/': '', 'd/x': '2', e: '3' });
    await namespace.rename(root, at('a'), at('n'));
    expect(await keysIn()).toEqual({ n: '1', 'd/': '', 'd/x': '2', e: '3' });
    expect(await keyOf('d/c')).toBe('n');
    await namespace.remove(root, at('n'), 'file');
    expect(await keysIn()).toEqual({ 'd/': '', 'd/b': '1', 'd/x': '2', e: '3' });
    await namespace.rename(root, at('e'), at('d/b'));
    expect(await keysIn()).toEqual({ 'd/': '', 'd/b': '3', 'd/c': '1', 'd/x': '2' });
    await namespace.remove(root, at('d/c'), 'file');
    expect(await keysIn()).toEqual({ 'd/': '', 'd/b': '3', 'd/x': '2' });
    expect(await notes()).toBe(0);
    expect(await namespace.sync(root, path('/m'), { recursive: true })).toBe(0);
  });

  it('are written to where the object is by then, though it has moved since its row was read', async () => {
    const store = watchedStore();
    let isLate = false;
    const moved = Promise.withResolvers<void>();
    const wrap = (inner: EmbeddedMetastore): EmbeddedMetastore => ({
      ...inner,
      async get(keys) {
        const rows = await inner.get(keys);
        if (!isLate || !keys.some(({ name }) => toText(name) === 'g')) return rows;
        isLate = false;
        await moved.promise;
        return rows;
      },
    });
    const { namespace, settled } = await openNamespace({ storeOf: () => store, wrap });
    await namespace.mount(root, mountOf('/m'));
    await namespace.write(root, path('/m/f'), bytes('before'), { mode });
    await namespace.link(root, path('/m/f'), path('/m/g'));
    await settled();
    isLate = true;
    const writing = namespace.write(root, path('/m/g'), bytes('after'), { mode });
    await expect.poll(() => isLate).toBe(false);
    await namespace.rename(root, path('/m/f'), path('/m/h'));
    await settled();
    moved.resolve();
    await writing;
    await settled();
    expect(await contentOf(store)).toEqual({ h: 'after' });
  });

  it('replace others without taking a key', async () => {
    const { namespace, at, link, keysIn, keyOf } = await openMounted({ a: '1', b: '2' });
    await link('a', 'c');
    await namespace.rename(root, at('c'), at('b'));
    expect(await keysIn()).toEqual({ a: '1' });
    expect(await keyOf('b')).toBe('a');
  });

  it('keep their bytes when the tree goes in which the object lies, and go where a directory goes', async () => {
    const { namespace, at, link, keysIn, keyOf, advance, names } = await openMounted({
      'd/e/a': '1',
      'd/x': '2',
      f: '3',
    });
    await link('d/e/a', 'b');
    await link('d/e/a', 'd/c');
    await namespace.rename(root, at('d'), at('n'));
    expect(await keysIn()).toEqual({ 'n/': '', 'n/e/': '', 'n/e/a': '1', 'n/x': '2', f: '3' });
    expect([await keyOf('b'), await keyOf('n/e/a'), await keyOf('n/c')]).toEqual(['n/e/a', 'n/e/a', 'n/e/a']);
    await namespace.removeTree(root, at('n'));
    expect(await keysIn()).toEqual({ b: '1', f: '3' });
    expect(await keyOf('b')).toBe('b');
    advance(LEASE_MS);
    const count = async () => (await namespace.stat(root, at('b'))).inode.links?.length;
    await expect.poll(() => namespace.catchUp(() => false).then(count)).toBe(1);
    expect(await names('/m')).toEqual(['b', 'f']);
    expect(await namespace.sync(root, path('/m'))).toBe(0);
    await namespace.remove(root, at('b'), 'file');
    expect(await keysIn()).toEqual({ f: '3' });
  });

  it('are no help to an object whose other names have gone with their trees', async () => {
    const { namespace, at, link, keysIn, names } = await openMounted({ a: '1', 'd/x': '2' });
    await link('a', 'd/b');
    await namespace.removeTree(root, at('d'));
    await namespace.remove(root, at('a'), 'file');
    expect(await keysIn()).toEqual({});
    expect(await names('/m')).toEqual([]);
  });

  it('are in step with the store where every access asks it', async () => {
    const { namespace, at, link, store } = await openMounted({ a: '1', 'd/x': '2' }, { syncIntervalMs: 0 });
    await link('a', 'd/b');
    await store.put({ a: 'longer' });
    expect((await namespace.stat(root, at('d/b'))).inode.size).toBe(6);
    expect((await namespace.stat(root, at('a'))).inode.size).toBe(6);
  });

  it('may be of special files, of which the store knows nothing', async () => {
    const { namespace, at, link, keysIn, names } = await openMounted({ a: '1' });
    await namespace.mknod(root, at('p'), { kind: 'fifo', mode: 0o600 });
    await link('p', 'q');
    await namespace.setAttributes(root, at('q'), { mode: 0o644 });
    await namespace.rename(root, at('p'), at('r'));
    expect(await namespace.sync(root, path('/m'))).toBe(0);
    expect(await names('/m')).toEqual(['a', 'q', 'r']);
    await namespace.rename(root, at('r'), at('a'));
    await namespace.remove(root, at('q'), 'file');
    expect(await keysIn()).toEqual({});
  });
});
