import { writeSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PAGE_BYTES } from '#agent/cache/page-map.ts';
import { type FileUpload, uploadFile } from '#agent/dirty/upload.ts';
import type { Fingerprint } from '#shared/model/inode.ts';
import { STORE_KINDS, storeSource, type StoreSource } from '../support/each-store.ts';
import { baseBlocks, filled, pagesIn, type Scratch, scratchFile } from '../support/local-content.ts';
import { get, key, put } from '../support/store-engine.ts';
import { type WatchedStore, watchedStore } from '../support/watched-store.ts';

const ATTRIBUTES = { mode: 0o640, mtime: 1_600_000_000_125_000_000n };
/** Two parts and a little. */
const SIZE = 16 * PAGE_BYTES + 5;
const NAME = 'd/f';

const times = (count: number, byte: number): number[] => Array.from({ length: count }, () => byte);

describe.each(STORE_KINDS)('a dirty file goes to a store: %s', (kind) => {
  let source: StoreSource;
  let store: WatchedStore;
  let file: Scratch;
  beforeAll(async () => {
    source = await storeSource(kind);
  });
  afterAll(() => source.stop());
  beforeEach(async () => {
    store = watchedStore(await source.open());
  });
  afterEach(() => file.remove());

  function job(size: number, more: Partial<FileUpload> = {}): FileUpload {
    const content = { fd: file.fd, size };
    return { store, key: key(NAME), content, attributes: ATTRIBUTES, when: 'absent', isUnchanged: () => true, ...more };
  }

  /** An object whose pages hold 1, and what a job says of it. */
  async function withBase(size: number): Promise<Fingerprint> {
    const { fingerprint } = await store.write(
      key(NAME),
      filled(size, () => 1),
    );
    store.calls.length = 0;
    return fingerprint as Fingerprint;
  }

  const sent = () => store.calls.filter((call) => /^(write|upload|put|copy|finish|abort)/.test(call)).toSorted();

  it('in one write, when it is small', async () => {
    file = scratchFile(2 * PAGE_BYTES);
    file.fill(7, 1);
    const entry = await uploadFile(job(2 * PAGE_BYTES));
    expect(entry).toMatchObject({ kind: 'file', size: 2 * PAGE_BYTES, ...ATTRIBUTES });
    expect(await store.stat(key(NAME))).toEqual(entry);
    expect(await pagesIn(store, NAME)).toEqual([0, 7]);
    expect(sent()).toEqual([`write ${NAME}`]);
    await uploadFile(job(0, { when: entry.fingerprint as Fingerprint }));
    expect(await get(store, NAME)).toBe('');
  });

  it('in parts, when it is large, with its holes', async () => {
    file = scratchFile(SIZE);
    file.fill(3, 0, 9, 16);
    const told: string[] = [];
    const watch = { begun: (id: string) => void told.push(id), over: (id: string) => void told.push(id) };
    const entry = await uploadFile(job(SIZE, watch));
    expect([told.length, new Set(told).size]).toEqual([2, 1]);
    expect(entry).toMatchObject({ size: SIZE, ...ATTRIBUTES });
    expect(await pagesIn(store, NAME)).toEqual([3, ...times(8, 0), 3, ...times(6, 0), 3]);
    expect(sent()).toEqual([`finish ${NAME}`, `put ${NAME} 1`, `put ${NAME} 2`, `put ${NAME} 3`, `upload ${NAME}`]);
  });

  it('with what changed of it alone, when the rest is in the store', async () => {
    const fingerprint = await withBase(SIZE);
    file = scratchFile(SIZE);
    file.fill(5, 1, 3, 16);
    const base = { fingerprint, blocks: baseBlocks(SIZE, { same: [1, 16], changed: [3] }) };
    const content = { fd: file.fd, size: SIZE, base };
    const entry = await uploadFile(job(SIZE, { content, when: fingerprint }));
    expect(entry.fingerprint).not.toBe(fingerprint);
    // Page 16 is said to be here and the same: the object's is taken.
    expect(await pagesIn(store, NAME)).toEqual([1, 5, 1, 5, ...times(13, 1)]);
    expect(sent()).toEqual([`copy ${NAME} 2`, `copy ${NAME} 3`, `finish ${NAME}`, `put ${NAME} 1`, `upload ${NAME}`]);
  });

  it('with holes where it was cut off and made longer', async () => {
    const fingerprint = await withBase(12 * PAGE_BYTES);
    file = scratchFile(SIZE);
    file.fill(5, 12);
    const base = { fingerprint, blocks: baseBlocks(12 * PAGE_BYTES, { changed: [9, 10, 11] }) };
    await uploadFile(job(SIZE, { content: { fd: file.fd, size: SIZE, base }, when: fingerprint }));
    expect(await pagesIn(store, NAME)).toEqual([...times(9, 1), 0, 0, 0, 5, ...times(4, 0)]);
  });

  it('small, and partly from the store', async () => {
    const fingerprint = await withBase(3 * PAGE_BYTES);
    file = scratchFile(4 * PAGE_BYTES);
    file.fill(5, 1, 3);
    const base = { fingerprint, blocks: baseBlocks(3 * PAGE_BYTES, { changed: [1] }) };
    await uploadFile(job(0, { content: { fd: file.fd, size: 4 * PAGE_BYTES, base }, when: fingerprint }));
    expect(await pagesIn(store, NAME)).toEqual([1, 5, 1, 5]);
  });

  it('partly from the store, with a request for all that is missing of what is read at once', async () => {
    await put(store, NAME, 'abcdefghijkl');
    const { fingerprint } = (await store.stat(key(NAME))) as { fingerprint: Fingerprint };
    file = scratchFile(15);
    for (const [text, at] of [
      ['BC', 1],
      ['F', 5],
      ['HI', 7],
      ['MNO', 12],
    ] as const)
      writeSync(file.fd, text, at);
    const base = { fingerprint, blocks: baseBlocks(12, { changed: [1, 2, 5, 7], same: [8], unit: 1 }) };
    store.calls.length = 0;
    await uploadFile(job(15, { content: { fd: file.fd, size: 15, base }, when: fingerprint }));
    expect(await get(store, NAME)).toBe('aBCdeFgHIjklMNO');
    expect(store.calls).toEqual([`read ${NAME}`, `write ${NAME}`, `read ${NAME}`]);
  });

  it.each([2 * PAGE_BYTES, SIZE])('not, when it is written meanwhile (%i bytes)', async (size) => {
    file = scratchFile(size);
    await put(store, NAME, 'kept');
    const fingerprint = (await store.stat(key(NAME)))?.fingerprint as Fingerprint;
    let asked = 0;
    const isUnchanged = () => ++asked < 4 && size === SIZE;
    const uploading = uploadFile(job(size, { when: fingerprint, isUnchanged }));
    await expect(uploading).rejects.toMatchObject({ kind: 'contended' });
    expect(await get(store, NAME)).toBe('kept');
    expect(await source.remains(store)).toEqual([]);
  });

  it.each([2 * PAGE_BYTES, SIZE])('not, when another object is there (%i bytes)', async (size) => {
    file = scratchFile(size);
    const first = await put(store, NAME, 'one');
    await expect(uploadFile(job(size))).rejects.toMatchObject({ kind: 'exists' });
    await store.write(
      key(NAME),
      filled(size, () => 1),
    );
    const when = first.fingerprint as Fingerprint;
    await expect(uploadFile(job(size, { when }))).rejects.toMatchObject({ kind: 'changed' });
    const base = { fingerprint: when, blocks: baseBlocks(size, {}) };
    const content = { fd: file.fd, size, base };
    await expect(uploadFile(job(size, { content, when }))).rejects.toMatchObject({ kind: 'changed' });
    await store.remove(key(NAME), 'file');
    await expect(uploadFile(job(size, { content, when }))).rejects.toMatchObject({ kind: 'changed' });
    expect(await source.remains(store)).toEqual([]);
  });

  it.each([2 * PAGE_BYTES, SIZE])('and is known, when it had arrived before (%i bytes)', async (size) => {
    file = scratchFile(size);
    file.fill(3, 1);
    // Not all stores keep a time to the nanosecond.
    const written = { ...ATTRIBUTES, mtime: 1_600_000_000_123_456_789n };
    const entry = await uploadFile(job(size, { attributes: written }));
    expect(await uploadFile(job(size, { attributes: written }))).toEqual(entry);
    const when = 'gone' as Fingerprint;
    expect(await uploadFile(job(size, { when, attributes: written }))).toEqual(entry);
    const content = { fd: file.fd, size, base: { fingerprint: when, blocks: baseBlocks(size, { changed: [1] }) } };
    expect(await uploadFile(job(size, { when, content, attributes: written }))).toEqual(entry);
    const attributes = { ...ATTRIBUTES, mtime: 1_700_000_000_000_000_000n };
    await expect(uploadFile(job(size, { when, content, attributes }))).rejects.toMatchObject({ kind: 'changed' });
    file.fill(4, 0);
    await expect(uploadFile(job(size, { when }))).rejects.toMatchObject({ kind: 'changed' });
  });

  it('anew, when the store has forgotten the upload', async () => {
    file = scratchFile(SIZE);
    let ends = 0;
    store.meets = (call) => (call.startsWith('finish') && ++ends === 1 ? 'contended' : undefined);
    expect(await uploadFile(job(SIZE))).toMatchObject({ size: SIZE });
    expect(sent().filter((call) => /^(upload|abort|finish)/.test(call))).toEqual([
      `abort ${NAME}`,
      `finish ${NAME}`,
      `finish ${NAME}`,
      `upload ${NAME}`,
      `upload ${NAME}`,
    ]);
  });
});
