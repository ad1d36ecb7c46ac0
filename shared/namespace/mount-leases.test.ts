import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { EmbeddedMetastore } from '#agent/embedded/heap-metastore.ts';
import { bytes, contentOf, mountOf, openNamespace, path, ROOT_USER as root } from '../../test/support/namespace.ts';
import { watchedStore } from '../../test/support/watched-store.ts';
import { type InodeId, LEASES } from '../model/ids.ts';
import type { RecordRow } from '../model/inode.ts';
import type { Change, RowKey } from '../ports/metastore.ts';

const mode = 0o755;

function directoryIdOf({ directory, name }: RowKey): InodeId {
  const hash = createHash('sha256').update(directory, 'latin1').update('/').update(name, 'latin1').digest();
  hash[0] = (hash[0] ?? 0) | 0x80;
  return hash.toString('latin1', 0, 16) as InodeId;
}

async function two(files: Readonly<Record<string, string>> = {}, options: Parameters<typeof openNamespace>[0] = {}) {
  const store = watchedStore();
  await store.put(files);
  const a = await openNamespace({ storeOf: () => store, isShared: true, directoryIdOf, speed: 20, ...options });
  const b = await a.reopen();
  return { store, a, b };
}

describe('namespaces that share their rows', () => {
  it('know of mounts that the other has made, and has taken away', async () => {
    const { a, b } = await two({ 'd/x': '1' });
    expect(await b.namespace.mounts()).toEqual([]);
    await a.namespace.mount(root, mountOf('/m'));
    expect(await b.names('/m')).toEqual(['d/', 'd/x']);
    await b.namespace.unmount(root, path('/m'));
    expect(await a.namespace.mounts()).toEqual([]);
    expect(await a.names('/')).toEqual([]);
  });

  it('tell one store in turn what it is owed, and lose nothing', async () => {
    const { store, a, b } = await two({ 'd/x': '1', 'd/e/y': '2' });
    await a.namespace.mount(root, mountOf('/m'));
    await a.namespace.mkdir(root, path('/m/new'), { mode });
    await b.namespace.rename(root, path('/m/d'), path('/m/new/d'));
    await a.namespace.write(root, path('/m/new/d/z'), bytes('3'), { mode: 0o644 });
    await b.namespace.remove(root, path('/m/new/d/x'), 'file');
    await Promise.all([a.namespace.rest(), b.namespace.rest()]);
    expect(await contentOf(store)).toMatchObject({ 'new/d/e/y': '2', 'new/d/z': '3' });
    expect(Object.keys(await contentOf(store)).filter((key) => !key.endsWith('/'))).toHaveLength(2);
    expect(await a.names('/m')).toEqual(['new/', 'new/d/', 'new/d/e/', 'new/d/e/y', 'new/d/z']);
  });

  it('do what one was still owing whose lease has ended', async () => {
    const { store, a, b } = await two({ 'd/x': '1', 'd/y': '2' });
    await a.namespace.mount(root, mountOf('/m'));
    expect(await a.names('/m')).toEqual(['d/', 'd/x', 'd/y']);
    store.meets = (call) => (call.startsWith('remove') ? 'unavailable' : undefined);
    await a.namespace.remove(root, path('/m/d/x'), 'file');
    store.meets = undefined;
    a.advance(60_000); // and with it the lease
    expect(await b.names('/m')).toEqual(['d/', 'd/y']);
    await b.namespace.sync(root, path('/m'), { recursive: true });
    await b.namespace.rest();
    expect(await b.names('/m')).toEqual(['d/', 'd/y']);
    expect(Object.keys(await contentOf(store))).not.toContain('d/x');
  });

  it('let a name be used again, under another id', async () => {
    const { a, b } = await two();
    const first = await a.namespace.mkdir(root, path('/d'), { mode });
    await a.namespace.create(root, path('/d/f'), { mode });
    await b.namespace.rename(root, path('/d'), path('/e'));
    const second = await a.namespace.mkdir(root, path('/d'), { mode });
    expect(second.id).not.toBe(first.id);
    await b.namespace.remove(root, path('/d'), 'directory');
    const third = await b.namespace.mkdir(root, path('/d'), { mode });
    expect([first.id, second.id]).not.toContain(third.id);
    expect(await a.names('/')).toEqual(['d/', 'e/', 'e/f']);
  });

  it('carry a request that is repeated out once', async () => {
    const { a, b } = await two();
    const actor = (token: string, isRetry: boolean) => ({ ...root, request: { token, isRetry } });
    await a.namespace.mkdir(actor('t1', false), path('/d'), { mode });
    const again = await b.namespace.mkdir(actor('t1', true), path('/d'), { mode });
    expect(again.id).toBe((await a.namespace.stat(root, path('/d'))).inode.id);
    await expect(b.namespace.mkdir(actor('t2', true), path('/d'), { mode })).rejects.toMatchObject({ kind: 'exists' });
    const { id } = await a.namespace.create(root, path('/d/f'), { mode });
    await a.namespace.rename(root, path('/d/f'), path('/d/g'));
    const moved = await b.namespace.rename(actor('t3', true), path('/d/f'), path('/d/g'), { id });
    expect(moved.id).toBe(id);
    await a.namespace.remove(root, path('/d/g'), 'file');
    await a.namespace.create(root, path('/d/g'), { mode });
    await b.namespace.remove(actor('t4', true), path('/d/g'), 'file', { id });
    expect(await a.names('/')).toEqual(['d/', 'd/g']);
  });

  it('show what a store tells of, where it has been listed', async () => {
    const { store, a, b } = await two({ 'd/x': '1' });
    await a.namespace.mount(root, mountOf('/m', { uri: 'memory:/b' }));
    expect(await a.names('/m')).toEqual(['d/', 'd/x']);
    await store.put({ 'd/y': '2', 'e/z': '3' });
    expect(await b.names('/m')).toEqual(['d/', 'd/x']);
    expect(await b.namespace.notice('memory:/b/d/y')).toBe(1);
    expect(await b.namespace.notice('memory:/b/e/z')).toBe(1);
    expect(await b.namespace.notice('memory:/other/e/z')).toBe(0);
    expect(await a.names('/m')).toEqual(['d/', 'd/x', 'd/y', 'e/', 'e/z']);
  });

  it('leave trash and debts to who comes by', async () => {
    const { store, a, b } = await two({ 'd/x': '1', 'e/y': '2' });
    await a.namespace.mount(root, mountOf('/m'));
    expect(await a.names('/m')).toEqual(['d/', 'd/x', 'e/', 'e/y']);
    await a.namespace.removeTree(root, path('/m/d'));
    await a.namespace.rest();
    a.advance(60_000);
    expect(await b.namespace.catchUp(() => false)).toBe(2);
    expect(await contentOf(store)).toEqual({ 'e/': '', 'e/y': '2' });
  });

  it('give a lease back though others are just asking for it', async () => {
    let asked = 0;
    const askedMeanwhile = (inner: EmbeddedMetastore): EmbeddedMetastore => ({
      ...inner,
      async commit(changes, options) {
        const [{ act, key } = {} as Change] = changes;
        if (act === 'remove' && key.directory === LEASES && asked++ === 0) {
          const [lease] = await inner.get([key]);
          const row = { ...(lease as RecordRow), version: (lease?.version ?? 0) + 1 };
          await inner.commit([{ act: 'put', key, when: 'any', row }]);
        }
        return inner.commit(changes, options);
      },
    });
    const { a } = await two({ 'd/x': '1' }, { wrap: askedMeanwhile });
    await a.namespace.mount(root, mountOf('/m'));
    expect(await a.names('/m')).toEqual(['d/', 'd/x']);
    await a.namespace.rest();
    expect(asked).toBe(2);
    expect(await a.metastore.list(LEASES, { limit: 1 })).toEqual([]);
  });
});
