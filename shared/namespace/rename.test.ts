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

const mode = 0o755;

async function openTree(...at: readonly string[]) {
  const opened = await openNamespace();
  for (const each of at) {
    if (each.endsWith('/')) await opened.namespace.mkdir(root, path(each), { mode, parents: true });
    else await opened.namespace.create(root, path(each), { mode });
  }
  const rename = (from: string, to: string, noReplace = false) =>
    opened.namespace.rename(root, path(from), path(to), { noReplace });
  return { ...opened, rename };
}

async function openMounted(files: Readonly<Record<string, string>>) {
  const store = watchedStore();
  await store.put(files);
  const opened = await openNamespace({ storeOf: () => store });
  await opened.namespace.mount(root, mountOf('/m'));
  const rename = (from: string, to: string) => opened.namespace.rename(root, path(from), path(to));
  return { ...opened, store, rename };
}

describe('rename', () => {
  it('keeps the inode, whatever its kind, and all below it', async () => {
    const { namespace, rename, names } = await openTree('/a/b/', '/a/b/f', '/c/');
    const before = (await namespace.stat(root, path('/a'))).inode;
    const moved = await rename('/a', '/c/x');
    expect(moved).toMatchObject({ id: before.id, mtime: before.mtime });
    expect(await names()).toEqual(['c/', 'c/x/', 'c/x/b/', 'c/x/b/f']);
    await rename('/c/x/b/f', '/c/x/b/g');
    expect(await names('/c/x')).toEqual(['b/', 'b/g']);
  });

  it('moves a directory of any size in one commit', async () => {
    let commits = 0;
    const { namespace, metastore } = await openNamespace({
      wrap: (inner) => ({ ...inner, commit: (...given) => (commits++, inner.commit(...given)) }),
    });
    await namespace.mkdir(root, path('/big/in'), { mode, parents: true });
    for (let i = 0; i < 200; i++) await namespace.create(root, path(`/big/in/${i}`), { mode });
    const { id } = (await namespace.stat(root, path('/big/in'))).inode;
    await expect.poll(async () => (await namespace.stat(root, path('/big/in'))).inode.mtime > 0n).toBe(true);
    commits = 0;
    await namespace.rename(root, path('/big'), path('/moved'));
    expect(commits).toBeLessThanOrEqual(3); // itself, and times that are folded meanwhile
    expect(await metastore.list(id, { limit: 1000 })).toHaveLength(200);
  });

  it('replaces a file by a file and an empty directory by a directory', async () => {
    const { namespace, rename, names } = await openTree('/f', '/g', '/d/', '/d/x', '/e/');
    const { id } = await rename('/f', '/g');
    expect((await namespace.stat(root, path('/g'))).inode.id).toBe(id);
    await rename('/d', '/e');
    expect(await names()).toEqual(['e/', 'e/x', 'g']);
  });

  it('refuses what rename(2) refuses', async () => {
    const { rename, names } = await openTree('/f', '/d/e/', '/full/x/', '/a/b/c/');
    const before = await names();
    await refused('notFound', rename('/nothing', '/x'));
    await refused('notFound', rename('/f', '/nothing/x'));
    await refused('notDirectory', rename('/f', '/f/x'));
    await refused('notDirectory', rename('/d', '/f'));
    await refused('isDirectory', rename('/f', '/d'));
    await refused('notEmpty', rename('/d', '/full'));
    await refused('notEmpty', rename('/a/b/c', '/a/b'));
    await refused('invalid', rename('/a', '/a/b/c/a'));
    await refused('invalid', rename('/a', '/a/x'));
    await refused('exists', rename('/f', '/d', true));
    await refused('busy', rename('/', '/x'));
    await refused('busy', rename('/f', '/'));
    expect(await names()).toEqual(before);
  });

  it('does nothing to one and the same file', async () => {
    const { namespace, rename } = await openTree('/f', '/d/');
    const before = (await namespace.stat(root, path('/f'))).inode;
    await rename('/f', '/f');
    expect((await namespace.stat(root, path('/f'))).inode).toEqual(before);
    await rename('/d', '/d');
    await refused('exists', rename('/f', '/f', true));
  });

  it('takes a symlink for itself, and goes through those before the end', async () => {
    const { namespace, rename, names } = await openTree('/d/', '/d/f');
    await namespace.symlink(root, path('/l'), 'd');
    await rename('/l/f', '/l/g');
    await rename('/l', '/k');
    expect(await names()).toEqual(['d/', 'd/g', 'k']);
    await refused('invalid', rename('/d', '/k/x'));
  });

  it('never makes a circle, whoever moves what into whose child', async () => {
    for (let i = 0; i < 20; i++) {
      const { rename, names } = await openTree('/a/x/', '/b/y/', '/c/z/');
      const outcomes = await Promise.allSettled([
        rename('/a', '/b/y/a'),
        rename('/b', '/c/z/b'),
        rename('/c', '/a/x/c'),
      ]);
      expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
      expect((await names()).length).toBe(6);
    }
  });

  // Each marks what the other moves: one who waited with his mark on would wait for the whole lease.
  it('lets two directories be moved over one another', { timeout: 5000 }, async () => {
    for (let i = 0; i < 20; i++) {
      const { rename, names } = await openTree('/a/', '/b/');
      await Promise.allSettled([rename('/a', '/b'), rename('/b', '/a'), rename('/a', '/b')]);
      expect(await names()).toHaveLength(1);
    }
  });
});

describe('rename on a mount', () => {
  it('shows the new name at once and moves the objects behind', async () => {
    const { namespace, store, rename, settled } = await openMounted({ 'd/e/f': 'one', 'd/g': 'two', h: 'three' });
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    store.meets = (call) => (call.startsWith('copy') ? gate : undefined);
    const before = await namespace.stat(root, path('/m/d/e/f'));
    await rename('/m/d', '/m/x');
    await refused('notFound', namespace.stat(root, path('/m/d')));
    const during = await namespace.stat(root, path('/m/x/e/f'));
    expect(during.inode).toMatchObject({ id: before.inode.id, generation: before.inode.generation });
    expect(during.origin?.key).toBe('d/e/f');
    letGo();
    await settled();
    expect(await contentOf(store)).toEqual({ 'x/': '', 'x/e/': '', 'x/e/f': 'one', 'x/g': 'two', h: 'three' });
    const after = await namespace.stat(root, path('/m/x/e/f'));
    expect(after.origin?.key).toBe('x/e/f');
    // The bytes are the same, so what is cached of them stays.
    expect(after.inode.generation).toBe(before.inode.generation);
    expect(await namespace.sync(root, path('/m'), { recursive: true })).toBe(0);
  });

  it('is in one step where the store can move', async () => {
    const moved: string[] = [];
    const inner = watchedStore();
    const store = watchedStore({
      ...inner,
      supports: { directories: true, move: true },
      async move(from, to) {
        moved.push(`${from} ${to}`);
        for (const { key } of (await inner.list(from)).entries) {
          await inner.copy(key, `${to}${key.slice(from.length)}` as never);
          await inner.remove(key, 'file');
        }
      },
    });
    await inner.put({ 'd/a': '1', 'd/b': '2' });
    const { namespace, settled } = await openNamespace({ storeOf: () => store });
    await namespace.mount(root, mountOf('/m'));
    await namespace.rename(root, path('/m/d'), path('/m/e'));
    await settled();
    expect(moved).toEqual(['d e']);
    expect(store.count('copy')).toBe(0);
    expect(await contentOf(store)).toEqual({ 'e/': '', 'e/a': '1', 'e/b': '2' });
  });

  it('replaces objects, and goes on where names are used again at once', async () => {
    const { namespace, store, rename, settled, names } = await openMounted({ a: '1', b: '2', c: '3' });
    await rename('/m/a', '/m/b');
    await rename('/m/b', '/m/a');
    await rename('/m/c', '/m/b');
    await namespace.write(root, path('/m/c'), bytes('4'), { mode });
    await settled();
    expect(await contentOf(store)).toEqual({ a: '1', b: '3', c: '4' });
    expect(await names('/m')).toEqual(['a', 'b', 'c']);
  });

  it('counts entries of a directory that nobody has looked into', async () => {
    const { namespace, rename } = await openMounted({ 'full/x': '1', 'd/y': '2' });
    await refused('notEmpty', rename('/m/d', '/m/full'));
    expect((await namespace.stat(root, path('/m/d/y'))).inode.size).toBe(1);
  });

  it('does not cross from one store to another', async () => {
    const { namespace, rename } = await openMounted({ a: '1' });
    await namespace.mount(root, mountOf('/n'));
    await namespace.create(root, path('/out'), { mode });
    await refused('crossMount', rename('/m/a', '/n/a'));
    await refused('crossMount', rename('/m/a', '/a'));
    await refused('crossMount', rename('/out', '/m/out'));
    await refused('busy', rename('/m', '/k'));
  });

  it('waits for an upload that is under way, and takes it along', async () => {
    const { namespace, store, rename, settled } = await openMounted({ f: 'old' });
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    store.meets = (call) => (call === 'write f' ? gate : undefined);
    await namespace.stat(root, path('/m/f'));
    const writing = namespace.write(root, path('/m/f'), bytes('new'), { mode });
    await expect.poll(() => store.count('write')).toBe(1);
    const renaming = rename('/m/f', '/m/g');
    letGo();
    await Promise.all([writing, renaming]);
    await settled();
    expect(await contentOf(store)).toEqual({ g: 'new' });
  });

  it('leaves content whole when it meets an upload that begins', async () => {
    for (let i = 0; i < 20; i++) {
      const { namespace, store, rename, settled } = await openMounted({ f: 'old' });
      await namespace.stat(root, path('/m/f'));
      const write = namespace.write(root, path('/m/f'), bytes('new'), { mode });
      const [written] = await Promise.allSettled([write, rename('/m/f', '/m/g')]);
      await settled();
      const content = await contentOf(store);
      const isWritten = written?.status === 'fulfilled';
      expect(isWritten ? [{ g: 'new' }, { f: 'new', g: 'old' }] : [{ g: 'old' }]).toContainEqual(content);
    }
  });
});
