import { describe, expect, it } from 'vitest';
import { LeatError } from '../model/faults.ts';
import {
  bytes,
  contentOf,
  mountOf,
  openNamespace,
  path,
  refused,
  ROOT_USER as root,
} from '../../test/support/namespace.ts';
import { type WatchedStore, watchedStore } from '../../test/support/watched-store.ts';

const mode = 0o755;

/** Stores by the name in their URI. */
async function openWith(stores: Readonly<Record<string, WatchedStore>>) {
  const storeOf = (uri: string) => {
    const store = stores[uri.slice('memory:'.length)];
    if (!store) throw new LeatError('invalid', `${uri}: there is no such store`);
    return store;
  };
  const opened = await openNamespace({ storeOf });
  const mount = (at: string, name: string, options = {}) =>
    opened.namespace.mount(root, mountOf(at, { uri: `memory:${name}`, ...options }));
  return { ...opened, mount };
}

async function storeWith(files: Readonly<Record<string, string>>): Promise<WatchedStore> {
  const store = watchedStore();
  await store.put(files);
  return store;
}

describe('a mount', () => {
  it('shows its store, at the root or below directories that it makes', async () => {
    const { namespace, mount, names } = await openWith({
      a: await storeWith({ x: '1' }),
      b: await storeWith({ y: '2' }),
    });
    await mount('/', 'a');
    await mount('/p/q/b', 'b');
    expect(await names()).toEqual(['p/', 'p/q/', 'p/q/b/', 'p/q/b/y', 'x']);
    expect((await namespace.mounts()).map(({ path: at }) => at)).toEqual(['/', '/p/q/b']);
  });

  it('stays until it is unmounted, over restarts, and keeps its secrets', async () => {
    const { mount, reopen } = await openWith({ a: await storeWith({ x: '1' }) });
    const options = { 's3.secret-access-key': 'hush', 's3.region': 'here', uid: '7', 'mode.file': '600' };
    const made = await mount('/m', 'a', { options });
    expect(made.options).toEqual({ ...options, 's3.secret-access-key': '(hidden)' });
    const { namespace } = await reopen();
    expect(await namespace.mounts()).toEqual([made]);
    expect((await namespace.stat(root, path('/m/x'))).inode).toMatchObject({ uid: 7, mode: 0o600 });
  });

  it('nests in another, hides nothing that is there, and gives back what was behind it', async () => {
    const a = await storeWith({ 'd/x': '1', f: '2' });
    const { namespace, mount, names } = await openWith({ a, b: await storeWith({ y: '3' }) });
    await mount('/m', 'a');
    await refused('notEmpty', mount('/m/d', 'b'));
    await refused('exists', mount('/m/f', 'b'));
    await mount('/m/e', 'b');
    await a.put({ 'e/behind': '4' });
    await namespace.sync(root, path('/m'), { recursive: true });
    expect(await names('/m')).toEqual(['d/', 'd/x', 'e/', 'e/y', 'f']);
    await namespace.create(root, path('/m/e/new'), { mode });
    await refused('busy', namespace.unmount(root, path('/m')));
    await namespace.unmount(root, path('/m/e'));
    expect(await names('/m')).toEqual(['d/', 'd/x', 'e/', 'e/behind', 'f']);
    await namespace.unmount(root, path('/m'));
    expect(await names()).toEqual([]);
    expect(await contentOf(a)).toEqual({ 'd/': '', 'd/x': '1', 'e/': '', 'e/behind': '4', f: '2' });
  });

  it('of the same bucket twice is two mounts', async () => {
    const store = await storeWith({ x: '1' });
    const { namespace, mount, names, settled } = await openWith({ a: store });
    await mount('/one', 'a');
    await mount('/two', 'a', { readOnly: true });
    const [one, two] = await Promise.all(['/one/x', '/two/x'].map((at) => namespace.stat(root, path(at))));
    expect(one?.inode.id).not.toBe(two?.inode.id);
    expect(one?.origin?.mount).not.toBe(two?.origin?.mount);
    await namespace.write(root, path('/one/y'), bytes('2'), { mode });
    await namespace.sync(root, path('/two'));
    expect(await names()).toEqual(['one/', 'one/x', 'one/y', 'two/', 'two/x', 'two/y']);
    await settled();
    await namespace.unmount(root, path('/one'));
    expect(await names('/two')).toEqual(['x', 'y']);
  });

  it('that is read-only refuses every change', async () => {
    const store = await storeWith({ x: '1', 'd/y': '2' });
    const { namespace, mount } = await openWith({ a: store });
    await mount('/m', 'a', { readOnly: true });
    const at = (name: string) => path(`/m/${name}`);
    await refused('readOnly', namespace.create(root, at('n'), { mode }));
    await refused('readOnly', namespace.mkdir(root, at('n'), { mode }));
    await refused('readOnly', namespace.symlink(root, at('n'), 'x'));
    await refused('readOnly', namespace.remove(root, at('x'), 'file'));
    await refused('readOnly', namespace.removeTree(root, at('d')));
    await refused('readOnly', namespace.rename(root, at('x'), at('n')));
    await refused('readOnly', namespace.setAttributes(root, at('d/y'), { mode }));
    await refused('readOnly', namespace.write(root, at('x'), bytes('3'), { mode }));
    await refused('exists', namespace.mkdir(root, at('d'), { mode }));
    expect(store.calls.every((call) => call.startsWith('list'))).toBe(true);
  });

  it('is refused where it cannot be, and leaves nothing of itself', async () => {
    const down = watchedStore();
    down.meets = () => 'unavailable';
    const { namespace, mount, names } = await openWith({ a: await storeWith({ x: '1' }), down });
    await refused('unavailable', mount('/m', 'down'));
    await refused('invalid', mount('/m', 'nothing'));
    await refused('invalid', mount('/m', 'a', { options: { 'mode.file': '9' } }));
    await refused('invalid', mount('/m', 'a', { options: { uid: 'ann' } }));
    expect(await namespace.mounts()).toEqual([]);
    expect(await names()).toEqual([]);
    await mount('/m', 'a');
    await refused('busy', mount('/m', 'a'));
    await refused('invalid', namespace.unmount(root, path('/m/x')));
    const twice = await Promise.allSettled([mount('/n', 'a'), mount('/n', 'a')]);
    expect(twice.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });

  it('whose driver cannot be made hinders no other, and tells why', async () => {
    const stores: Record<string, WatchedStore> = { a: await storeWith({ x: '1' }), b: await storeWith({ y: '2' }) };
    const { mount, reopen, namespace } = await openWith(stores);
    await mount('/a', 'a');
    await mount('/b', 'b');
    await namespace.stat(root, path('/a/x'));
    delete stores['a'];
    const again = await reopen();
    expect((await again.namespace.stat(root, path('/b/y'))).inode.size).toBe(1);
    expect((await again.namespace.stat(root, path('/a/x'))).inode.size).toBe(1);
    await expect(again.namespace.sync(root, path('/a'))).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('there is no such store') as string,
    });
  });
});

describe('unmount', () => {
  it('waits until the store has got what it is owed, and lets nothing new begin', async () => {
    const store = await storeWith({ x: '1' });
    const { namespace, mount, names } = await openWith({ a: store });
    await mount('/m', 'a');
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    store.meets = (call) => (call === 'write y' ? gate : undefined);
    await namespace.create(root, path('/m/y'), { mode });
    const unmounting = namespace.unmount(root, path('/m'));
    await expect
      .poll(() => namespace.create(root, path('/m/z'), { mode }).catch((error) => error.kind))
      .toBe('readOnly');
    letGo();
    await unmounting;
    expect(await contentOf(store)).toEqual({ x: '1', y: '' });
    expect(await names()).toEqual([]);
  });

  it('gives up, and leaves the mount as it was, when the store does not answer', async () => {
    const store = await storeWith({});
    const { namespace, mount, advance, settled } = await openWith({ a: store });
    await mount('/m', 'a');
    store.meets = (call) => (call.startsWith('write') ? 'unavailable' : undefined);
    await namespace.create(root, path('/m/y'), { mode });
    const unmounting = namespace.unmount(root, path('/m'));
    await expect.poll(() => store.count('write')).toBe(1);
    advance(20_000);
    await refused('busy', unmounting);
    store.meets = undefined;
    await namespace.create(root, path('/m/z'), { mode });
    advance(100_000);
    await settled();
    expect(await contentOf(store)).toEqual({ y: '', z: '' });
  });

  it('of the root leaves an empty one', async () => {
    const { namespace, mount, names } = await openWith({
      a: await storeWith({ x: '1' }),
      b: await storeWith({ y: '2' }),
    });
    await mount('/', 'a');
    expect(await names()).toEqual(['x']);
    await namespace.unmount(root, path('/'));
    expect(await names()).toEqual([]);
    await mount('/', 'b');
    expect(await names()).toEqual(['y']);
  });
});
