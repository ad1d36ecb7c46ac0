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

const mode = 0o644;

async function openMounted(files: Readonly<Record<string, string>> = {}) {
  const store = watchedStore();
  await store.put(files);
  const opened = await openNamespace({ storeOf: () => store });
  await opened.namespace.mount(root, mountOf('/m'));
  const write = (at: string, text: string) => opened.namespace.write(root, path(at), bytes(text), { mode });
  return { ...opened, store, write };
}

function gate(): { readonly wait: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { wait: promise, open: resolve };
}

describe('write', () => {
  it('makes a file and replaces one, each content of another generation', async () => {
    const { namespace, store, write } = await openMounted({ old: '1' });
    const made = await write('/m/new', 'text');
    expect(made).toMatchObject({ size: 4, mode, generation: 1 });
    const before = (await namespace.stat(root, path('/m/old'))).inode;
    const after = await write('/m/old', 'longer');
    expect(after).toMatchObject({ id: before.id, size: 6, generation: before.generation + 1 });
    expect(await contentOf(store)).toEqual({ new: 'text', old: 'longer' });
    expect(await namespace.sync(root, path('/m'))).toBe(0);
  });

  it('refuses what it cannot keep, and what is no file', async () => {
    const { namespace, write } = await openMounted({ f: '1', 'd/x': '2' });
    await namespace.symlink(root, path('/m/l'), 'f');
    await refused('readOnly', write('/out', ''));
    await refused('isDirectory', write('/m/d', ''));
    await refused('invalid', write('/m/l', ''));
    await refused('notFound', write('/m/nothing/x', ''));
    await refused('notDirectory', write('/m/f/x', ''));
    const ann = user(1);
    await refused('denied', namespace.write(ann, path('/m/n'), bytes(''), { mode }));
    await refused('denied', namespace.write(ann, path('/m/f'), bytes(''), { mode }));
  });

  it('shows nothing of an upload that fails', async () => {
    const { namespace, store, write } = await openMounted({ f: '1' });
    store.meets = (call) => (call.startsWith('write') ? 'unavailable' : undefined);
    await refused('unavailable', write('/m/f', 'longer'));
    await refused('unavailable', write('/m/new', 'longer'));
    store.meets = undefined;
    expect((await namespace.stat(root, path('/m/f'))).inode.size).toBe(1);
    await refused('notFound', namespace.stat(root, path('/m/new')));
    await write('/m/new', 'x');
  });

  it.each(['file', 'tree'])('loses against the removal of its %s meanwhile, and leaves no object', async (what) => {
    const { namespace, store, write, settled } = await openMounted({ 'd/f': '1' });
    const { wait, open } = gate();
    store.meets = (call) => (call === 'write d/f' ? wait : undefined);
    await namespace.stat(root, path('/m/d/f'));
    const writing = write('/m/d/f', 'new');
    await expect.poll(() => store.count('write')).toBe(1);
    if (what === 'file') await namespace.remove(root, path('/m/d/f'), 'file');
    else await namespace.removeTree(root, path('/m/d'));
    open();
    await refused('changed', writing);
    await settled();
    expect(Object.keys(await contentOf(store)).filter((key) => !key.endsWith('/'))).toEqual([]);
  });

  it('of one file by many leaves the content of one of them', async () => {
    const { namespace, store, write } = await openMounted();
    const texts = ['1', '22', '333', '4444'];
    await Promise.all(texts.map((text) => write('/m/f', text)));
    const { inode } = await namespace.stat(root, path('/m/f'));
    const content = await contentOf(store);
    expect(texts).toContain(content['f']);
    const { inode: now } = await namespace.refresh(path('/m/f'), inode);
    expect(now.size).toBe(content['f']?.length);
  });

  it('into a file just created comes after its making', async () => {
    const { namespace, store, write, settled } = await openMounted();
    await namespace.create(root, path('/m/f'), { mode });
    await write('/m/f', 'text');
    await settled();
    expect(await contentOf(store)).toEqual({ f: 'text' });
    expect((await namespace.stat(root, path('/m/f'))).inode.size).toBe(4);
  });
});

describe('refresh', () => {
  it('takes over what has replaced an object, and says when it is gone', async () => {
    const { namespace, store } = await openMounted({ f: 'old' });
    const known = (await namespace.stat(root, path('/m/f'))).inode;
    expect((await namespace.refresh(path('/m/f'), known)).inode).toEqual(known);
    await store.put({ f: 'new' });
    const now = (await namespace.refresh(path('/m/f'), known)).inode;
    expect([now.id, now.generation, now.size]).toEqual([known.id, known.generation + 1, 3]);
    expect(now.fingerprint).not.toBe(known.fingerprint);
    await store.remove('f' as never, 'file');
    await refused('notFound', namespace.refresh(path('/m/f'), now));
    await refused('notFound', namespace.stat(root, path('/m/f')));
  });

  it('answers at once when the row knows better already, and waits for what is on its way', async () => {
    const { namespace, store, write } = await openMounted({ f: 'old' });
    const known = (await namespace.stat(root, path('/m/f'))).inode;
    const { wait, open } = gate();
    store.meets = (call) => (call === 'write f' ? wait : undefined);
    const writing = write('/m/f', 'newer');
    await expect.poll(() => store.count('write')).toBe(1);
    const refreshing = namespace.refresh(path('/m/f'), known);
    open();
    const written = await writing;
    expect((await refreshing).inode).toMatchObject({ generation: written.generation, size: 5 });
    store.calls.length = 0;
    expect((await namespace.refresh(path('/m/f'), known)).inode.size).toBe(5);
    expect(store.calls).toEqual([]);
  });

  it('keeps what is known while the store does not answer', async () => {
    const { namespace, store } = await openMounted({ f: 'old' });
    const known = (await namespace.stat(root, path('/m/f'))).inode;
    store.meets = () => 'unavailable';
    expect((await namespace.refresh(path('/m/f'), known)).inode).toEqual(known);
  });
});
