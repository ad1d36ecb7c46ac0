import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PAGE_BYTES } from '#agent/cache/page-map.ts';
import { STREAM_BYTES_MIN, type StreamOptions, UploadStream } from '#agent/dirty/stream.ts';
import type { FileUpload } from '#agent/dirty/upload.ts';
import type { Fingerprint } from '#shared/model/inode.ts';
import { partRange } from '#shared/ports/object-parts.ts';
import { STORE_KINDS, storeSource, type StoreSource } from '../support/each-store.ts';
import { pagesIn, type Scratch, scratchFile } from '../support/local-content.ts';
import { get, key, put } from '../support/store-engine.ts';
import { type WatchedStore, watchedStore } from '../support/watched-store.ts';

const ATTRIBUTES = { mode: 0o640, mtime: 1_600_000_000_125_000_000n };
const PAGES = 41;
const SIZE = PAGES * PAGE_BYTES;
const PART_PAGES = partRange(1).length / PAGE_BYTES;
const NAME = 'd/f';
const PATIENT = { timeout: 30_000 };
/** Whatever a server goes on with after it was cut off is over then. */
const ARRIVED_MS = 500;

describe.each(STORE_KINDS)('a file is sent while it is written, to %s', (kind) => {
  let source: StoreSource;
  let store: WatchedStore;
  let file: Scratch;
  let ids: string[];
  beforeAll(async () => {
    source = await storeSource(kind);
  });
  afterAll(() => source.stop());
  beforeEach(async () => {
    store = watchedStore(await source.open());
    file = scratchFile(SIZE);
    ids = [];
  });
  afterEach(() => file.remove());

  function stream(more: Partial<StreamOptions> = {}): UploadStream {
    const told = { begun: (id: string) => void ids.push(`+${id}`), over: (id: string) => void ids.push(`-${id}`) };
    return new UploadStream({ store, key: key(NAME), fd: file.fd, attributes: ATTRIBUTES, ...told, ...more });
  }

  function job(more: Partial<FileUpload> = {}): FileUpload {
    const content = { fd: file.fd, size: SIZE };
    return { store, key: key(NAME), content, attributes: ATTRIBUTES, when: 'absent', isUnchanged: () => true, ...more };
  }

  /** Fills pages with the number behind their own. */
  function write(...pages: readonly number[]): void {
    for (const page of pages) file.fill(page + 1, page);
  }
  const all = Array.from({ length: PAGES }, (_, page) => page);
  const filledAll = all.map((page) => page + 1);
  const puts = () =>
    store.calls.filter((call) => call.startsWith('put ')).map((call) => Number(call.split(' ').at(-1)));
  const arePut = (count: number) => expect.poll(puts, PATIENT).toHaveLength(count);

  it('in whole parts behind the writer, and the rest in the end', async () => {
    const one = stream();
    write(...all);
    one.grown(STREAM_BYTES_MIN - 1);
    expect(store.calls).toEqual([]);
    one.grown(4 * PART_PAGES * PAGE_BYTES + 5);
    await arePut(4);
    expect(await store.stat(key(NAME))).toBeUndefined();
    one.grown(SIZE - 1);
    await arePut(5);
    const entry = await one.finish(job());
    expect(sorted(puts())).toEqual([1, 2, 3, 4, 5, 6]);
    expect(entry).toMatchObject({ size: SIZE, ...ATTRIBUTES });
    expect(await store.stat(key(NAME))).toEqual(entry);
    expect(await pagesIn(store, NAME)).toEqual(filledAll);
    expect(ids).toEqual([`+${ids[0]?.slice(1)}`, `-${ids[0]?.slice(1)}`]);
    expect(await source.remains(store)).toEqual([]);
  });

  it('once more, what was rewritten, cut off or made again', async () => {
    const one = stream();
    file.fill(99, ...all);
    one.grown(SIZE);
    await arePut(5);
    write(...all.slice(0, 2 * PART_PAGES));
    one.rewritten(0, PAGE_BYTES);
    one.rewritten(PAGE_BYTES, 2 * PART_PAGES * PAGE_BYTES);
    one.cut(3 * PART_PAGES * PAGE_BYTES + 5);
    write(...all.slice(3 * PART_PAGES));
    one.grown(SIZE);
    await one.finish(job());
    // The fifth may have been on its way still, and is sent in the end then.
    expect(sorted(puts())).toEqual([1, 1, 2, 2, 3, 4, 4, 5, 5, 6]);
    const untouched = all.slice(2 * PART_PAGES, 3 * PART_PAGES).map(() => 99);
    expect(await pagesIn(store, NAME)).toEqual([
      ...filledAll.slice(0, 2 * PART_PAGES),
      ...untouched,
      ...filledAll.slice(3 * PART_PAGES),
    ]);
  });

  it('and what was rewritten while it was on its way', async () => {
    const [held, release] = gate();
    store.meets = (call) => (call.startsWith('put') ? held : undefined);
    const one = stream();
    one.grown(SIZE);
    await arePut(2);
    write(...all);
    one.rewritten(0, SIZE);
    release();
    await one.finish(job());
    expect(await pagesIn(store, NAME)).toEqual(filledAll);
  });

  it('with what nobody told of, when it is asked to look', async () => {
    const one = stream({ isBlind: true });
    write(...all);
    file.fill(99, 0, 17);
    one.grown(SIZE);
    await arePut(5);
    write(0, 17);
    await one.finish(job());
    expect(sorted(puts().slice(5))).toEqual([1, 3, 6]);
    expect(await pagesIn(store, NAME)).toEqual(filledAll);
  });

  it('whole, when it ends elsewhere, smaller, or after an outage', async () => {
    write(...all);
    const moved = stream();
    moved.grown(SIZE);
    await arePut(5);
    await moved.finish(job({ key: key('d/g') }));
    expect(await pagesIn(store, 'd/g')).toEqual(filledAll);
    expect(await store.stat(key(NAME))).toBeUndefined();
    const smaller = stream();
    smaller.grown(SIZE);
    await smaller.finish(job({ content: { fd: file.fd, size: 9 * PAGE_BYTES } }));
    expect(await pagesIn(store, NAME)).toEqual(filledAll.slice(0, 9));
    await store.remove(key(NAME), 'file');
    const failing = stream();
    store.meets = (call) => (call.startsWith('put') ? 'unavailable' : undefined);
    failing.grown(SIZE);
    await failing.finish(job({ isUnchanged: () => ((store.meets = undefined), true) }));
    expect(await pagesIn(store, NAME)).toEqual(filledAll);
    expect(await source.remains(store)).toEqual([]);
  });

  it('but is not shown when it was written meanwhile, or another object is there', async () => {
    await put(store, NAME, 'kept');
    for (const [more, fault] of [
      [{ isUnchanged: () => false, when: 'other' as Fingerprint }, 'contended'],
      [{ when: 'absent' }, 'exists'],
      [{ when: 'other' as Fingerprint }, 'changed'],
    ] as const) {
      const one = stream();
      one.grown(SIZE);
      await expect(one.finish(job(more))).rejects.toMatchObject({ kind: fault });
    }
    expect(await get(store, NAME)).toBe('kept');
    expect(await source.remains(store)).toEqual([]);
  });

  it('and leaves nothing when it is given up, or its process dies', async () => {
    const one = stream();
    one.grown(SIZE);
    await one.abort();
    await one.abort();
    expect(await source.remains(store)).toEqual([]);
    const stopped = new AbortController();
    const two = stream();
    store.calls.length = 0;
    two.grown(SIZE);
    await expect.poll(puts, PATIENT).toContain(1);
    stopped.abort();
    await expect(two.finish(job({ signal: stopped.signal }))).rejects.toMatchObject({ kind: 'interrupted' });
    const three = stream();
    store.calls.length = 0;
    ids.length = 0;
    three.grown(SIZE);
    await expect.poll(puts, PATIENT).toContain(1);
    await store.abandonUpload(key(NAME), ids[0]?.slice(1) ?? '');
    await three.abort();
    expect(await source.remains(store)).toEqual([]);
    expect(await store.stat(key(NAME))).toBeUndefined();
  });

  it('and leaves nothing of a part that arrives while it is given up', async () => {
    for (let round = 0; round < 4; round++) {
      const stopped = new AbortController();
      const upload = await store.upload(key(NAME), { signal: stopped.signal });
      const { length } = partRange(1);
      const part = {
        length,
        async *pieces() {
          yield Buffer.alloc(length);
          setImmediate(() => stopped.abort());
        },
      };
      await upload.put(1, part).catch(() => undefined);
      await upload.abort();
    }
    await sleep(ARRIVED_MS);
    expect(await source.remains(store)).toEqual([]);
  });

  it('with the mode and the owner that it has in the end', async () => {
    const one = stream();
    write(...all);
    one.grown(SIZE);
    const attributes = { mode: 0o700, mtime: 1_500_000_000_000_000_000n };
    const entry = await one.finish(job({ attributes }));
    expect(entry).toMatchObject(attributes);
    expect(await store.stat(key(NAME))).toEqual(entry);
    expect(await pagesIn(store, NAME)).toEqual(filledAll);
  });
});

const sorted = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b);

function gate(): [Promise<void>, () => void] {
  const { promise, resolve } = Promise.withResolvers<void>();
  return [promise, resolve];
}
