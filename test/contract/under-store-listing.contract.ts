import { expect, it } from 'vitest';
import { type StoreEntry, STORE_PAGE_ENTRIES, type UnderStore } from '#shared/ports/under-store.ts';
import { get, inLanes, key, put, type StoreEngine } from '../support/store-engine.ts';

const ODD_NAMES = [
  'with space',
  ' leading',
  '100%',
  '%2F',
  'a+b',
  '.hidden',
  '-dash',
  'ünïcödé',
  '日本語',
  '😀',
  'quote"\'`',
  'back\\slash',
  'semi;colon,&?#=:@!$*()[]{}<>|^~',
  'new\nline',
];

/** In key order: `-` and `.` come before the slash that a directory ends with, digits and letters after it. */
const NEIGHBOURS = ['dir-x', 'dir.txt', 'dir/', 'dir0', 'direct'];

const orderOf = ({ key: each, kind }: StoreEntry) => (kind === 'directory' ? `${each}/` : each);

async function pagesOf(store: UnderStore, directory: string): Promise<StoreEntry[][]> {
  const pages: StoreEntry[][] = [];
  for (let cursor: string | undefined, isLast = false; !isLast;) {
    const page = await store.list(key(directory), cursor);
    pages.push([...page.entries]);
    ({ cursor } = page);
    isLast = cursor === undefined;
  }
  return pages;
}

export function listingContract(engine: StoreEngine): void {
  names(engine);
  pages(engine);
  (engine.traits.holdsAnyBytes ? anyBytes : onlyUtf8)(engine);
  (engine.traits.holdsObjectAndPrefix ? objectAndPrefix : objectOrPrefix)(engine);
  directories(engine);
}

function names({ open, traits }: StoreEngine): void {
  it.each(['', 'odd dir +%ü'])('keeps odd names as they are, in %j', async (directory) => {
    const store = await open();
    const prefix = directory === '' ? '' : `${directory}/`;
    const named = ODD_NAMES.filter((name) => traits.listsMarkup || !/[&<>"'`]/.test(name));
    const odd = [...named, 'x'.repeat(traits.nameBytesMax)];
    await inLanes(odd.length, (i) => put(store, `${prefix}${odd[i]}`));
    const listed = (await store.list(key(directory))).entries;
    expect(listed.map(orderOf)).toEqual(odd.map((name) => key(prefix + name)).toSorted((a, b) => (a < b ? -1 : 1)));
    for (const [i, name] of odd.entries()) {
      expect(await get(store, prefix + name)).toBe(prefix + name);
      const entry = await store.stat(key(prefix + name));
      expect(listed.find((each) => each.key === key(prefix + name))?.fingerprint).toBe(entry?.fingerprint);
      if (i % 2 === 0) await store.remove(key(prefix + name), 'file');
    }
    expect((await store.list(key(directory))).entries).toHaveLength(Math.floor(odd.length / 2));
  });
}

/** One byte that is no UTF-8, as text. */
const NOT_UTF8 = 'caf\udce9';

function anyBytes({ open }: StoreEngine): void {
  it('takes names that are not UTF-8', async () => {
    const store = await open();
    await put(store, NOT_UTF8, 'x');
    expect((await store.list(key(''))).entries.map((entry) => entry.key)).toEqual(['caf\xe9']);
    expect(await get(store, NOT_UTF8)).toBe('x');
  });
}

function onlyUtf8({ open }: StoreEngine): void {
  it('refuses names that are not UTF-8', async () => {
    await expect(put(await open(), NOT_UTF8, 'x')).rejects.toMatchObject({ kind: 'invalid' });
  });
}

function pages({ open }: StoreEngine): void {
  it('lists 2,500 entries in pages of 1,000, in key order, each once', async () => {
    const store = await open();
    const wanted = [...NEIGHBOURS, ...Array.from({ length: 2495 }, (_, i) => `n${i}`)];
    await inLanes(wanted.length, async (i) => {
      const name = wanted[i] ?? '';
      await put(store, name.endsWith('/') ? `many/${name}below` : `many/${name}`, 'x');
    });
    await put(store, 'many-not', 'x');
    const found = await pagesOf(store, 'many');
    expect(found).toHaveLength(3);
    expect(found.flat().map(orderOf)).toEqual(
      wanted.map((name) => `many/${name}`).toSorted((a, b) => (a < b ? -1 : 1)),
    );
    for (const { kind, size, fingerprint } of found.flat()) {
      expect([size, typeof fingerprint]).toEqual(kind === 'file' ? [1, 'string'] : [0, 'undefined']);
    }
  });

  it('goes on behind the last name of a page, whatever has been removed before it', async () => {
    const store = await open();
    const all = Array.from({ length: STORE_PAGE_ENTRIES + 10 }, (_, i) => `d/n${String(i).padStart(4, '0')}`);
    await inLanes(all.length, (i) => put(store, all[i] ?? '', ''));
    const first = await store.list(key('d'));
    await inLanes(100, (i) => store.remove(key(all[i] ?? ''), 'file'));
    const second = await store.list(key('d'), first.cursor);
    expect(second.entries.map((entry) => entry.key)).toEqual(all.slice(STORE_PAGE_ENTRIES));
    expect(second.cursor).toBeUndefined();
  });
}

function objectOrPrefix({ open }: StoreEngine): void {
  it('refuses a key below an object', async () => {
    const store = await open();
    await put(store, 'both', 'object');
    await expect(put(store, 'both/below')).rejects.toMatchObject({ name: 'LeatError' });
    expect(await get(store, 'both')).toBe('object');
  });
}

function objectAndPrefix({ open }: StoreEngine): void {
  it('shows a key that is both an object and a prefix twice, the file first', async () => {
    const store = await open();
    await put(store, 'both', 'object');
    await put(store, 'both/below');
    await put(store, 'both-', 'between');
    const listed = (await store.list(key(''))).entries;
    expect(listed.map(({ key: each, kind }) => [each, kind])).toEqual([
      ['both', 'file'],
      ['both-', 'file'],
      ['both', 'directory'],
    ]);
    expect(await get(store, 'both')).toBe('object');
    expect(await store.stat(key('both'))).toMatchObject({ kind: 'file' });
    expect((await store.list(key('both'))).entries.map((entry) => entry.key)).toEqual(['both/below']);
  });
}

function directories({ open, traits }: StoreEngine): void {
  it('makes directories that are there when empty, and makes them again', async () => {
    const store = await open();
    if (!traits.showsDeepPrefixes) await store.makeDirectory(key('a'));
    await store.makeDirectory(key('a/b'));
    await store.makeDirectory(key('a/b'));
    expect((await store.list(key(''))).entries.map(({ key: each, kind }) => [each, kind])).toEqual([
      ['a', 'directory'],
    ]);
    expect((await store.list(key('a'))).entries.map(({ key: each, kind }) => [each, kind])).toEqual([
      ['a/b', 'directory'],
    ]);
    expect(await store.list(key('a/b'))).toEqual({ entries: [], unnameable: 0 });
    expect(await store.stat(key('a/b'))).toMatchObject({ key: 'a/b', kind: 'directory', size: 0 });
    expect(await store.list(key('not/there'))).toEqual({ entries: [], unnameable: 0 });
  });
}
