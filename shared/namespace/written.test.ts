import { describe, expect, it } from 'vitest';
import {
  bytes,
  contentOf,
  mountOf,
  openNamespace,
  path,
  refused,
  ROOT_USER as root,
} from '../../test/support/namespace.ts';
import { watchedStore } from '../../test/support/watched-store.ts';
import type { InodeId } from '../model/ids.ts';
import type { Name } from '../model/names.ts';
import type { StoreKey } from '../model/inode.ts';
import type { Namespace } from './namespace.ts';

const mode = 0o644;
const holder = 'me';
const mtime = 1_700_000_000_123_456_789n;

async function openMounted(files: Readonly<Record<string, string>> = {}) {
  const store = watchedStore();
  await store.put(files);
  const opened = await openNamespace({ storeOf: () => store });
  await opened.namespace.mount(root, mountOf('/m'));
  return { ...opened, store };
}

async function keyOf(namespace: Namespace, directory: string, name: string) {
  const { id } = (await namespace.stat(root, path(directory))).inode;
  const { inode } = await namespace.stat(root, path(`${directory === '/' ? '' : directory}/${name}`));
  return { directory: id, name: name as Name, id: inode.id };
}

/** As an agent does that has the bytes. */
async function persist(opened: Awaited<ReturnType<typeof openMounted>>, at: string, text: string) {
  const { namespace, store } = opened;
  const upload = await namespace.beginUpload(root, path(at), { mode });
  const when = upload.inode.fingerprint ?? 'absent';
  const entry = await store.write(upload.origin.key, bytes(text), { when });
  return { upload, finish: () => namespace.finishUpload(root, path(at), upload, entry) };
}

describe('a dirty file', () => {
  it('begins with its holder, owes its store nothing, and is clean once it is stored', async () => {
    const opened = await openMounted();
    const { namespace, store } = opened;
    const made = await namespace.create(root, path('/m/f'), { mode, holder });
    expect(made).toMatchObject({ dirty: { holder }, generation: 1 });
    const at = await keyOf(namespace, '/m', 'f');
    const content = { size: 4, mtime, holder, generation: 1 };
    const written = await namespace.written(root, at, content);
    expect(written).toMatchObject({
      path: '/m/f',
      writeType: 'CACHE_THROUGH',
      inode: { size: 4, mtime, generation: 1 },
    });
    expect(await namespace.sync(root, path('/m'))).toBe(0);
    await opened.settled();
    expect(await contentOf(store)).toEqual({});
    const { finish } = await persist(opened, '/m/f', 'text');
    const stored = await finish();
    expect(stored).toMatchObject({ size: 4, mtime, generation: 1, fingerprint: expect.any(String) });
    expect(stored.dirty).toBeUndefined();
    expect(await namespace.sync(root, path('/m'))).toBe(0);
  });

  it('is another generation when it was stored before, and stays dirty when it was written during the upload', async () => {
    const opened = await openMounted({ f: 'old' });
    const { namespace } = opened;
    const { generation } = (await namespace.stat(root, path('/m/f'))).inode;
    const at = await keyOf(namespace, '/m', 'f');
    const once = await namespace.written(root, at, { size: 4, mtime, holder, generation });
    expect(once?.inode).toMatchObject({ generation: generation + 1, dirty: { holder } });
    const { finish } = await persist(opened, '/m/f', 'text');
    await namespace.written(root, at, { size: 5, mtime: mtime + 1n, holder, generation });
    expect(await finish()).toMatchObject({ size: 5, dirty: { holder }, generation: generation + 1 });
    const again = await persist(opened, '/m/f', 'texts');
    expect((await again.finish()).dirty).toBeUndefined();
  });

  it('is not written upon a content that another has replaced, nor where another holds it', async () => {
    const { namespace } = await openMounted({ f: 'old' });
    const at = await keyOf(namespace, '/m', 'f');
    await refused('changed', namespace.written(root, at, { size: 1, mtime, holder, generation: 9 }));
    await namespace.written(root, at, { size: 1, mtime, holder, generation: 1 });
    await refused('changed', namespace.written(root, at, { size: 1, mtime, holder: 'another', generation: 2 }));
  });

  it('is found wherever its directory goes, and not when it has gone itself', async () => {
    const { namespace } = await openMounted();
    await namespace.mkdir(root, path('/a/b'), { mode, parents: true });
    await namespace.create(root, path('/a/b/f'), { mode, holder });
    const at = await keyOf(namespace, '/a/b', 'f');
    await namespace.rename(root, path('/a'), path('/c'));
    expect(await namespace.find(at)).toMatchObject({ path: '/c/b/f', writeType: 'MUST_CACHE' });
    expect(await namespace.find({ ...at, id: 'abcdef' as InodeId })).toBeUndefined();
    await namespace.rename(root, path('/c/b/f'), path('/c/b/g'));
    expect(await namespace.find(at)).toBeUndefined();
    await namespace.removeTree(root, path('/c'));
    expect(await namespace.find({ ...at, name: 'g' as Name })).toBeUndefined();
  });

  it('replaces an object by its upload, when it was renamed over one before it was stored', async () => {
    const opened = await openMounted({ f: 'old' });
    const { namespace, store } = opened;
    await namespace.create(root, path('/m/tmp'), { mode, holder });
    await namespace.rename(root, path('/m/tmp'), path('/m/f'));
    await opened.settled();
    expect(await contentOf(store)).toEqual({ f: 'old' });
    const { finish } = await persist(opened, '/m/f', 'new');
    await finish();
    expect(await contentOf(store)).toEqual({ f: 'new' });
    expect(await namespace.sync(root, path('/m'))).toBe(0);
  });

  it('moves what its store has of it before it is stored at the new place', async () => {
    const opened = await openMounted({ f: 'old' });
    const { namespace, store } = opened;
    const at = await keyOf(namespace, '/m', 'f');
    await namespace.written(root, at, { size: 3, mtime, holder, generation: 1 });
    await namespace.rename(root, path('/m/f'), path('/m/g'));
    const { finish } = await persist(opened, '/m/g', 'new');
    expect(await finish()).toMatchObject({ size: 3, mtime });
    expect(await contentOf(store)).toEqual({ g: 'new' });
  });

  it('removed before it was stored owes nothing, and takes back an upload that was under way', async () => {
    const opened = await openMounted();
    const { namespace, store } = opened;
    await namespace.create(root, path('/m/f'), { mode, holder });
    const { finish } = await persist(opened, '/m/f', 'text');
    await namespace.remove(root, path('/m/f'), 'file');
    await refused('changed', finish());
    expect(await contentOf(store)).toEqual({});
  });

  it('gives way to what the store has got meanwhile', async () => {
    const { namespace, store } = await openMounted({ f: 'old', gone: '1' });
    const theirs = { f: 'theirs', gone: undefined };
    const sizes = { f: 6, gone: undefined };
    for (const name of ['f', 'gone'] as const) {
      const text = theirs[name];
      const at = await keyOf(namespace, '/m', name);
      await namespace.written(root, at, { size: 99, mtime, holder, generation: 1 });
      if (text === undefined) await store.remove(name as StoreKey, 'file');
      else await store.put({ [name]: text });
      expect(await namespace.sync(root, path('/m'))).toBe(0);
      const now = await namespace.abandon(root, at);
      expect(now?.inode.size).toBe(sizes[name]);
      expect(now?.inode.dirty).toBeUndefined();
    }
  });
});

describe('the write type', () => {
  it('is what is said nearest to the file: by it, by a directory above, by its mount', async () => {
    const store = watchedStore();
    const { namespace } = await openNamespace({ storeOf: () => store });
    await namespace.mount(root, mountOf('/m', { options: { 'write.type': 'ASYNC_THROUGH' } }));
    await namespace.mkdir(root, path('/m/d/e'), { mode, parents: true });
    await namespace.create(root, path('/m/d/e/f'), { mode, holder });
    const at = await keyOf(namespace, '/m/d/e', 'f');
    const set = (where: string, type: string) =>
      namespace.setXattr(root, path(where), 'user.leat.writetype', type, 'set');
    const type = async () => (await namespace.find(at))?.writeType;
    expect(await type()).toBe('ASYNC_THROUGH');
    await set('/', 'MUST_CACHE');
    expect(await type()).toBe('ASYNC_THROUGH');
    await set('/m', 'THROUGH');
    expect(await type()).toBe('THROUGH');
    await set('/m/d', 'MUST_CACHE');
    expect(await type()).toBe('MUST_CACHE');
    await set('/m/d/e/f', 'CACHE_THROUGH');
    expect(await type()).toBe('CACHE_THROUGH');
    await refused('invalid', set('/m', 'through'));
    await refused('invalid', namespace.mount(root, mountOf('/n', { options: { 'write.type': 'fast' } })));
  });
});
