import { describe, expect, it } from 'vitest';
import type { StoreKey } from '../model/inode.ts';
import { contentOf, mountOf, openNamespace, path, refused, ROOT_USER as root } from '../../test/support/namespace.ts';
import { type WatchedStore, watchedStore } from '../../test/support/watched-store.ts';

const mode = 0o755;

async function openMounted(store: WatchedStore, files: Readonly<Record<string, string>>, options = {}) {
  await store.put(files);
  const opened = await openNamespace({ storeOf: () => store });
  await opened.namespace.mount(root, mountOf('/m', options));
  const rename = (from: string, to: string) => opened.namespace.rename(root, path(from), path(to));
  return { ...opened, rename };
}

function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { wait: promise, open: resolve };
}

/** A store that renames directories in one step. */
function movingStore(): WatchedStore {
  const inner = watchedStore();
  const move = async (from: StoreKey, to: StoreKey) => {
    for (const { key, kind } of (await inner.list(from)).entries) {
      const target = `${to}${key.slice(from.length)}` as StoreKey;
      if (kind === 'directory') await move(key, target);
      else await inner.copy(key, target);
      await inner.remove(key, kind);
    }
  };
  return watchedStore({ ...inner, supports: { directories: true, move: true }, move });
}

describe('a directory whose objects are still to be moved', () => {
  it('is read at its old place until they are copied, and then at its own, though the old ones are not gone', async () => {
    const store = watchedStore();
    const { namespace, rename, names, settled } = await openMounted(store, { 'd/a/x': '1', 'd/b': '2', 'd/e/y': '3' });
    const [copying, removing] = [gate(), gate()];
    store.meets = (call) =>
      call.startsWith('copy') ? copying.wait : call.startsWith('remove') ? removing.wait : undefined;
    await rename('/m/d', '/m/n');
    expect(await names('/m/n/a')).toEqual(['x']);
    expect(store.count('list')).toBeGreaterThan(0);
    copying.open();
    await expect.poll(() => store.count('remove')).toBe(3);
    store.calls.length = 0;
    expect(await names('/m/n/e')).toEqual(['y']);
    expect((await namespace.stat(root, path('/m/n/e/y'))).origin?.key).toBe('n/e/y');
    expect(store.calls).toContain('list n/e');
    removing.open();
    await settled();
    expect(await names('/m')).toEqual(['n/', 'n/a/', 'n/a/x', 'n/b', 'n/e/', 'n/e/y']);
    expect(await contentOf(store)).toMatchObject({ 'n/a/x': '1', 'n/b': '2', 'n/e/y': '3' });
  });

  it.each([
    ['that was copied', () => watchedStore()],
    ['that the store moves by itself', () => movingStore()],
  ])('loses no row by a listing that goes on while the old place empties: one %s', async (_, open) => {
    const store = open();
    const { namespace, rename, names, settled } = await openMounted(store, { 'd/x': '1', 'd/y': '2' });
    await namespace.sync(root, path('/m'), { recursive: true });
    const moving = gate();
    store.meets = (call) => (/^(copy|move)/.test(call) ? moving.wait : undefined);
    const before = (await namespace.stat(root, path('/m/d/x'))).inode;
    await rename('/m/d', '/m/n');
    const listing = gate();
    const list = store.list;
    store.list = async (...given) => {
      await listing.wait;
      return list(...given);
    };
    const syncing = namespace.sync(root, path('/m/n'));
    moving.open();
    setTimeout(listing.open, 20);
    await syncing;
    await settled();
    expect(await names('/m')).toEqual(['n/', 'n/x', 'n/y']);
    expect((await namespace.stat(root, path('/m/n/x'))).inode.id).toBe(before.id);
  });

  it('answers lookups all the way where every access asks the store', async () => {
    for (const store of [watchedStore(), movingStore()]) {
      const { namespace, rename, settled } = await openMounted(
        store,
        { 'd/x': '1', 'd/e/y': '2' },
        { syncIntervalMs: 0 },
      );
      const { inode } = await namespace.stat(root, path('/m/d/x'));
      await rename('/m/d', '/m/n');
      let isOver = false;
      const looking = (async () => {
        while (!isOver) {
          expect((await namespace.stat(root, path('/m/n/x'))).inode.id).toBe(inode.id);
          expect((await namespace.stat(root, path('/m/n/e/y'))).inode.size).toBe(1);
          await refused('notFound', namespace.stat(root, path('/m/n/nothing')));
          await new Promise(setImmediate);
        }
      })();
      await settled();
      isOver = true;
      await looking;
    }
  });

  it('may be given up, and stays readable where it is', async () => {
    const store = watchedStore();
    const { namespace, rename, names, settled } = await openMounted(store, { 'd/x': '1', 'd/e/y': '2' });
    store.meets = (call) => (call.startsWith('copy') ? 'denied' : undefined);
    await rename('/m/d', '/m/n');
    await settled();
    expect((await namespace.owed()).failed).toHaveLength(1);
    expect(await names('/m/n')).toEqual(['e/', 'e/y', 'x']);
    expect((await namespace.stat(root, path('/m/n/x'))).origin?.key).toBe('d/x');
  });
});

describe('an old name that is taken anew', () => {
  it('is spared by what the one that had it is still owed', async () => {
    const store = watchedStore();
    const { namespace, rename, names, settled, advance } = await openMounted(store, { a: '1', 'd/x': '2' });
    let failures = 2;
    store.meets = (call) => (call.startsWith('copy') && failures-- > 0 ? 'unavailable' : undefined);
    await rename('/m/a', '/m/b');
    await rename('/m/d', '/m/e');
    await namespace.symlink(root, path('/m/a'), 'x');
    await namespace.mkdir(root, path('/m/d'), { mode });
    await namespace.create(root, path('/m/d/x'), { mode });
    await namespace.remove(root, path('/m/b'), 'file');
    await namespace.remove(root, path('/m/e/x'), 'file');
    advance(100_000);
    await settled();
    expect(Object.keys(await contentOf(store))).toEqual(['a', 'd/', 'd/x', 'e/']);
    await namespace.sync(root, path('/m'), { recursive: true });
    expect(await names('/m')).toEqual(['a', 'd/', 'd/x', 'e/']);
  });
});
