import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { EmbeddedMetastore } from '#agent/embedded/heap-metastore.ts';
import { INTENTS } from '../model/ids.ts';
import type { StoreKey } from '../model/inode.ts';
import { bytes, contentOf, mountOf, openNamespace, path, ROOT_USER as root } from '../../test/support/namespace.ts';
import { watchedStore } from '../../test/support/watched-store.ts';

const mode = 0o644;

interface Means {
  readonly wrap?: (metastore: EmbeddedMetastore) => EmbeddedMetastore;
  readonly speed?: number;
}

async function openMounted(files: Readonly<Record<string, string>> = {}, means: Means = {}) {
  const store = watchedStore();
  await store.put(files);
  const opened = await openNamespace({ storeOf: () => store, ...means });
  await opened.namespace.mount(root, mountOf('/m'));
  await opened.namespace.sync(root, path('/m'), { recursive: true });
  store.calls.length = 0;
  return { ...opened, store };
}

const changes = (calls: readonly string[]) => calls.filter((call) => !/^(list|stat)/.test(call));

describe('what a store is owed', () => {
  it('is done in order for each path, and side by side for others', async () => {
    const { namespace, store, settled } = await openMounted();
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    store.meets = (call) => (call === 'write a' ? gate : undefined);
    await namespace.create(root, path('/m/a'), { mode });
    await namespace.setAttributes(root, path('/m/a'), { mode: 0o600 });
    await namespace.mkdir(root, path('/m/d'), { mode: 0o755 });
    await namespace.create(root, path('/m/d/f'), { mode });
    await namespace.remove(root, path('/m/a'), 'file');
    await namespace.create(root, path('/m/a'), { mode: 0o640 });
    await expect.poll(() => changes(store.calls)).toEqual(['write a', 'makeDirectory d', 'write d/f']);
    expect((await namespace.owed()).pending).toBe(4);
    letGo();
    await settled();
    expect(changes(store.calls).slice(3)).toEqual(['setAttributes a', 'remove a', 'write a']);
    expect(await store.stat('a' as StoreKey)).toMatchObject({ mode: 0o640 });
  });

  it('is done in the order of the commits, whichever is answered first', async () => {
    let isSlow = false;
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const { namespace, store, settled } = await openMounted(
      { a: 'text' },
      {
        wrap: (inner) => ({
          ...inner,
          async commit(...args) {
            const result = await inner.commit(...args);
            if (isSlow) {
              isSlow = false;
              await gate;
            }
            return result;
          },
        }),
      },
    );
    isSlow = true;
    const removed = namespace.remove(root, path('/m/a'), 'file');
    await expect.poll(() => isSlow).toBe(false);
    const made = namespace.mkdir(root, path('/m/a'), { mode: 0o755 });
    await sleep(50);
    letGo();
    await Promise.all([removed, made]);
    await settled();
    expect(changes(store.calls)).toEqual(['remove a', 'makeDirectory a']);
    expect((await namespace.owed()).failed).toEqual([]);
  });

  it('survives the process, in the same order', async () => {
    const { namespace, store, reopen } = await openMounted({ f: 'text', 'd/x': '1', 't/y': '2' });
    store.meets = () => 'unavailable';
    await namespace.rename(root, path('/m/f'), path('/m/g'));
    await namespace.rename(root, path('/m/d'), path('/m/e'));
    await namespace.removeTree(root, path('/m/t'));
    await namespace.mkdir(root, path('/m/t'), { mode: 0o755 });
    await namespace.create(root, path('/m/t/new'), { mode });
    await namespace.symlink(root, path('/m/l'), 'g');
    await namespace.close();
    expect(await contentOf(store).catch(() => 'down')).toBe('down');
    store.meets = undefined;
    const again = await reopen();
    await again.settled();
    expect(Object.keys(await contentOf(store))).toEqual(['e/', 'e/x', 'g', 'l', 't/', 't/new']);
    expect(await again.metastore.list(INTENTS, { limit: 10 })).toEqual([]);
    expect(await again.namespace.sync(root, path('/m'), { recursive: true })).toBe(0);
  });

  it('is held back by sync after a restart too', async () => {
    const { namespace, store, reopen } = await openMounted({ a: '1', b: '2' });
    store.meets = (call) => (/^(list|stat)/.test(call) ? undefined : 'unavailable');
    await namespace.remove(root, path('/m/a'), 'file');
    await namespace.rename(root, path('/m/b'), path('/m/c'));
    await namespace.close();
    const again = await reopen();
    expect(await again.namespace.sync(root, path('/m'))).toBe(0);
    expect(await again.names('/m')).toEqual(['c']);
  });

  it('is tried again when the store is back, and asked for by few while it is down', async () => {
    const { namespace, store, advance, settled, logged } = await openMounted({}, { speed: 0 });
    store.meets = () => 'unavailable';
    for (let i = 0; i < 100; i++) await namespace.create(root, path(`/m/${i}`), { mode });
    await expect.poll(() => store.count('write')).toBeGreaterThan(0);
    expect(store.count('write')).toBeLessThanOrEqual(16);
    expect(logged.join()).toContain('tried again in');
    store.meets = undefined;
    advance(100_000);
    await settled();
    expect(Object.keys(await contentOf(store))).toHaveLength(100);
    expect((await namespace.owed()).failed).toEqual([]);
  });

  it('is given up, with the reason, when the store refuses it; the others go on', async () => {
    const { namespace, store, settled } = await openMounted();
    store.meets = (call) => (call === 'write no' ? 'denied' : undefined);
    await namespace.create(root, path('/m/no'), { mode });
    await namespace.create(root, path('/m/yes'), { mode });
    await settled();
    const { pending, failed } = await namespace.owed();
    expect(pending).toBe(0);
    expect(failed).toEqual([{ what: expect.stringContaining('makeFile of no'), reason: 'write no: made to fail' }]);
    // A file that never was in the store cannot vanish from it.
    await namespace.sync(root, path('/m'));
    expect((await namespace.stat(root, path('/m/no'))).inode.fingerprint).toBeUndefined();
  });

  it('is done though more is owed than is held in memory', async () => {
    const { namespace, store, settled, reopen } = await openMounted();
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    store.meets = () => gate;
    const names = Array.from({ length: 2500 }, (_, i) => `f${i}`);
    for (const name of names) await namespace.create(root, path(`/m/${name}`), { mode });
    for (const name of names.slice(0, 500)) await namespace.remove(root, path(`/m/${name}`), 'file');
    expect((await namespace.owed()).pending).toBe(3000);
    letGo();
    await settled();
    expect(Object.keys(await contentOf(store)).toSorted()).toEqual(names.slice(500).toSorted());
    const again = await reopen();
    expect((await again.namespace.owed()).pending).toBe(0);
  });

  it('does not outlive what it was for', async () => {
    const { namespace, store, settled } = await openMounted({ x: 'theirs' });
    store.meets = (call) => (call === 'write a' ? 'unavailable' : undefined);
    await namespace.create(root, path('/m/a'), { mode });
    await namespace.remove(root, path('/m/a'), 'file');
    await namespace.write(root, path('/m/x'), bytes('ours'), { mode });
    store.meets = undefined;
    await expect.poll(async () => (await settled(), contentOf(store))).toEqual({ x: 'ours' });
  });

  it('does not overwrite an object that somebody else has put at its key', async () => {
    const { namespace, store, settled } = await openMounted();
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    store.meets = (call) => (call === 'write a' ? gate : undefined);
    await namespace.create(root, path('/m/a'), { mode });
    await store.put({ a: 'theirs' });
    letGo();
    await settled();
    await namespace.sync(root, path('/m'));
    expect((await namespace.stat(root, path('/m/a'))).inode.size).toBe(6);
    expect(await contentOf(store)).toEqual({ a: 'theirs' });
  });

  it('ends soon when the process ends, in the middle of a large tree', async () => {
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`d/${i}`, '']));
    const { namespace, store, reopen } = await openMounted(files);
    let closing: Promise<void> | undefined;
    store.meets = (call) => {
      if (call.startsWith('remove')) closing ??= namespace.close();
      return undefined;
    };
    await namespace.removeTree(root, path('/m/d'));
    await expect.poll(() => closing !== undefined).toBe(true);
    await closing;
    expect(Object.keys(await contentOf(store)).length).toBeGreaterThan(200);
    const again = await reopen();
    await again.settled();
    expect(await contentOf(store)).toEqual({});
  });
});
