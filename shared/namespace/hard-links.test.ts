import { describe, expect, it } from 'vitest';
import type { EmbeddedMetastore } from '#agent/embedded/heap-metastore.ts';
import { LINKED } from '../model/ids.ts';
import { type Path, toText } from '../model/names.ts';
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
import { LINKS_MAX } from './hard-links.ts';

const mode = 0o755;
const LEASE_MS = 10_000;

async function openTree() {
  const opened = await openNamespace();
  await opened.namespace.mkdir(root, path('/d'), { mode });
  await opened.namespace.create(root, path('/f'), { mode });
  const { namespace } = opened;
  const link = (from: string, to: string) => namespace.link(root, path(from), path(to));
  const inodeOf = async (at: string) => (await namespace.stat(root, path(at))).inode;
  const countOf = async (at: string) => (await inodeOf(at)).links?.length ?? 1;
  return { ...opened, link, inodeOf, countOf };
}

describe('hard links', () => {
  it('are names of one inode: what changes under one has changed under all, in listings too', async () => {
    const { namespace, link, inodeOf, advance } = await openTree();
    const before = await inodeOf('/f');
    advance(1);
    const made = await link('/f', '/d/g');
    expect(made).toMatchObject({ id: before.id, version: before.version + 1 });
    expect(made.ctime > before.ctime).toBe(true);
    await link('/d/g', '/h');
    await namespace.setAttributes(root, path('/d/g'), { mode: 0o600, uid: 7 });
    await namespace.setXattr(root, path('/h'), 'user.a', 'b', 'set');
    for (const at of ['/f', '/d/g', '/h']) {
      expect(await inodeOf(at)).toMatchObject({ id: before.id, mode: 0o600, uid: 7, xattrs: { 'user.a': 'b' } });
      expect((await inodeOf(at)).links).toHaveLength(3);
    }
    const { entries } = await namespace.list(root, path('/d'), { limit: 10 });
    expect(entries.map(({ inode }) => inode)).toEqual([await inodeOf('/f')]);
  });

  it('go one by one, and what is left of them is a plain file', async () => {
    const { namespace, link, inodeOf, countOf, advance } = await openTree();
    await link('/f', '/d/g');
    await link('/f', '/h');
    const { id, ctime } = await inodeOf('/f');
    advance(1);
    await namespace.remove(root, path('/f'), 'file');
    await refused('notFound', namespace.stat(root, path('/f')));
    expect([await countOf('/d/g'), await countOf('/h')]).toEqual([2, 2]);
    expect((await inodeOf('/h')).ctime > ctime).toBe(true);
    await namespace.removeTree(root, path('/h'));
    expect(await inodeOf('/d/g')).toMatchObject({ id });
    expect((await inodeOf('/d/g')).links).toBeUndefined();
    await namespace.setAttributes(root, path('/d/g'), { mode: 0o400 });
    await namespace.remove(root, path('/d/g'), 'file');
    await namespace.remove(root, path('/d'), 'directory');
  });

  it('may be renamed, replaced, and renamed over one another, which does nothing', async () => {
    const { namespace, link, inodeOf, countOf, names } = await openTree();
    const rename = (from: string, to: string) => namespace.rename(root, path(from), path(to));
    await link('/f', '/d/g');
    const { id } = await inodeOf('/f');
    expect((await rename('/f', '/d/g')).id).toBe(id);
    expect(await names()).toEqual(['d/', 'd/g', 'f']);
    await rename('/d/g', '/g');
    await rename('/d', '/e');
    await namespace.setAttributes(root, path('/f'), { mode: 0o640 });
    expect(await inodeOf('/g')).toMatchObject({ id, mode: 0o640 });
    expect(await countOf('/g')).toBe(2);
    await namespace.create(root, path('/n'), { mode });
    await link('/n', '/e/n');
    await rename('/n', '/g');
    expect((await inodeOf('/f')).links).toBeUndefined();
    await namespace.setAttributes(root, path('/g'), { mode: 0o444 });
    expect(await inodeOf('/e/n')).toMatchObject({ mode: 0o444, id: (await inodeOf('/g')).id });
    expect(await countOf('/e/n')).toBe(2);
  });

  it('are refused where link(2) refuses them', async () => {
    const { namespace, link } = await openTree();
    await namespace.mkdir(root, path('/m'), { mode });
    await namespace.mount(root, mountOf('/m'));
    await refused('notPermitted', link('/d', '/e'));
    await refused('exists', link('/f', '/d'));
    await refused('exists', link('/f', '/f'));
    await refused('notFound', link('/x', '/y'));
    await refused('notFound', link('/f', '/x/y'));
    await refused('notDirectory', link('/f', '/f/y'));
    await refused('crossMount', link('/f', '/m/f'));
    await refused('busy', link('/', '/e'));
    await refused('denied', namespace.link(user(7), path('/f'), path('/d/g')));
  });

  it('are as many as there is room for in a commit, also where two that have all are renamed over one another', async () => {
    const { namespace, link, countOf } = await openTree();
    await namespace.create(root, path('/n'), { mode });
    for (let i = 1; i < LINKS_MAX; i++) {
      await link('/f', `/d/f${i}`);
      await link('/n', `/d/n${i}`);
    }
    await refused('tooManyNames', link('/f', '/one-more'));
    await namespace.rename(root, path('/n'), path('/f'));
    expect([await countOf('/f'), await countOf('/d/n1'), await countOf('/d/f1')]).toEqual([
      LINKS_MAX,
      LINKS_MAX,
      LINKS_MAX - 1,
    ]);
    await namespace.setAttributes(root, path('/d/f9'), { mode: 0o600 });
    expect((await namespace.stat(root, path('/d/f1'))).inode.mode).toBe(0o600);
  });

  it('are taken off their inode when a tree with some of them has been reclaimed', async () => {
    const { namespace, link, countOf, advance } = await openTree();
    await namespace.mkdir(root, path('/t/u'), { mode, parents: true });
    await link('/f', '/t/u/a');
    await link('/f', '/t/b');
    await link('/t/b', '/d/c');
    await namespace.removeTree(root, path('/t'));
    expect(await countOf('/f')).toBe(4);
    await namespace.setAttributes(root, path('/f'), { mode: 0o600 });
    advance(LEASE_MS);
    await expect.poll(() => namespace.catchUp(() => false).then(() => countOf('/d/c'))).toBe(2);
    await namespace.setAttributes(root, path('/f'), { mode: 0o640 });
    expect((await namespace.stat(root, path('/d/c'))).inode.mode).toBe(0o640);
  });

  it('of symlinks and special files are names of those themselves', async () => {
    const { namespace, link, inodeOf } = await openTree();
    await namespace.symlink(root, path('/s'), 'nowhere');
    await namespace.mknod(root, path('/p'), { kind: 'fifo', mode: 0o600 });
    expect(await link('/s', '/d/s')).toMatchObject({ kind: 'symlink', target: 'nowhere' });
    expect(await link('/p', '/d/p')).toMatchObject({ kind: 'fifo', mode: 0o600 });
    expect((await inodeOf('/d/p')).id).toBe((await inodeOf('/p')).id);
  });
});

describe('special files', () => {
  it('are what they were made as', async () => {
    const { namespace, inodeOf, names } = await openTree();
    await namespace.mknod(root, path('/d/p'), { kind: 'fifo', mode: 0o640, umask: 0o022 });
    await namespace.mknod(root, path('/d/s'), { kind: 'socket', mode: 0o777 });
    await namespace.mknod(root, path('/d/b'), { kind: 'block', mode: 0o600, device: 0x801 });
    expect(await inodeOf('/d/p')).toMatchObject({ kind: 'fifo', mode: 0o640, size: 0 });
    expect(await inodeOf('/d/b')).toMatchObject({ kind: 'block', device: 0x801 });
    expect((await inodeOf('/d/s')).device).toBeUndefined();
    await refused('exists', namespace.mknod(root, path('/d/p'), { kind: 'fifo', mode }));
    await namespace.setAttributes(root, path('/d'), { mode: 0o777 });
    const anybody = user(7);
    await refused('notPermitted', namespace.mknod(anybody, path('/d/c'), { kind: 'character', mode, device: 1 }));
    await namespace.mknod(anybody, path('/d/q'), { kind: 'fifo', mode });
    await namespace.rename(root, path('/d/p'), path('/d/f'));
    await namespace.remove(root, path('/d/s'), 'file');
    expect(await names('/d')).toEqual(['b', 'f', 'q']);
  });
});

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
