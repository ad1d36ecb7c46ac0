import { describe, expect, it } from 'vitest';
import { mountOf, openNamespace, path, refused, ROOT_USER as root, user } from '../../test/support/namespace.ts';
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
