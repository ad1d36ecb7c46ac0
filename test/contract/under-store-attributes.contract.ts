import { expect, it } from 'vitest';
import { get, key, put, type StoreEngine } from '../support/store-engine.ts';

/** A store that keeps owners may only be able to set our own. */
const OWNER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const ATTRIBUTES = { mode: 0o2751, mtime: 1_234_567_890_125_000_000n, ...OWNER };

export function attributesContract({ open, traits }: StoreEngine): void {
  it('keeps mode, owner and time with a file, and merges new ones', async () => {
    const store = await open();
    const entry = await put(store, 'd/ü', 'bytes', { attributes: ATTRIBUTES });
    expect(entry).toMatchObject(ATTRIBUTES);
    expect(await store.stat(key('d/ü'))).toEqual(entry);
    for (let round = 0; round < 2; round++) {
      const changed = await store.setAttributes(key('d/ü'), { mode: 0o600 });
      expect(changed).toMatchObject({ ...ATTRIBUTES, mode: 0o600, kind: 'file', size: 5 });
      expect(await store.stat(key('d/ü'))).toEqual(changed);
    }
    expect(await get(store, 'd/ü')).toBe('bytes');
  });

  it('keeps them with a directory that it made', async () => {
    const store = await open();
    await store.makeDirectory(key('d'), { ...ATTRIBUTES, mode: 0o711 });
    expect(await store.stat(key('d'))).toMatchObject({ kind: 'directory', ...ATTRIBUTES, mode: 0o711 });
    await put(store, 'd/below');
    const entry = await store.setAttributes(key('d'), { mode: 0o700 });
    expect(entry).toMatchObject({ key: 'd', kind: 'directory', mode: 0o700 });
    expect(await store.stat(key('d'))).toMatchObject({ kind: 'directory', mode: 0o700 });
    expect(await get(store, 'd/below')).toBe('d/below');
  });

  it('gives them to a directory that was only a prefix', async () => {
    const store = await open();
    if (!traits.showsDeepPrefixes) await put(store, 'p/beside');
    await put(store, 'p/q/file');
    expect(await store.setAttributes(key('p/q'), { mode: 0o750 })).toMatchObject({ kind: 'directory', mode: 0o750 });
    expect(await store.stat(key('p/q'))).toMatchObject({ kind: 'directory', mode: 0o750 });
    expect((await store.list(key('p/q'))).entries.map((entry) => entry.key)).toEqual(['p/q/file']);
    await store.setAttributes(key(''), { mode: 0o755 });
    expect((await store.list(key(''))).entries.map((entry) => entry.key)).toEqual(['p']);
  });

  it('keeps symlinks, and copies and replaces them as such', async () => {
    const store = await open();
    const target = key('../else where/ü');
    const entry = await store.makeSymlink(key('d/link'), target, OWNER);
    expect(entry).toMatchObject({ key: 'd/link', kind: 'symlink', target, size: target.length, ...OWNER });
    expect(await store.stat(key('d/link'))).toEqual(entry);
    expect(await store.copy(key('d/link'), key('d/copy'))).toMatchObject({ kind: 'symlink', target });
    expect(await store.setAttributes(key('d/link'), { mtime: 1_000_000_000_000_000_000n })).toMatchObject({
      kind: 'symlink',
      target,
      mtime: 1_000_000_000_000_000_000n,
    });
    expect(await store.makeSymlink(key('d/link'), 'other')).toMatchObject({ kind: 'symlink', target: 'other' });
    expect(await put(store, 'd/link', 'now a file')).toMatchObject({ kind: 'file' });
    expect(await get(store, 'd/link')).toBe('now a file');
  });
}
