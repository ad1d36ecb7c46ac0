import { mkdtempSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type InodeId, ROOT } from '#shared/model/ids.ts';
import type { Inode, MountId } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import type { ObjectUpload, UnderStore } from '#shared/ports/under-store.ts';
import { memoryUnderStore } from '#shared/under-stores/memory.ts';
import { filled, pagesIn } from '../../test/support/local-content.ts';
import { key } from '../../test/support/store-engine.ts';
import { type WatchedStore, watchedStore } from '../../test/support/watched-store.ts';
import { PAGE_BYTES } from '../cache/page-map.ts';
import { DirtyFile } from './dirty-file.ts';
import { makeShards } from './dirty-paths.ts';
import { Journal } from './journal.ts';
import { streamOn } from './streaming.ts';

const PAGES = 48;
const ORIGIN = { mount: 'm' as MountId, key: key('f') };
const INODE = {
  id: 'i' as InodeId,
  kind: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0n,
  generation: 1,
} as Inode;

let dir: string;
let store: WatchedStore;
let file: DirtyFile;
let journal: Journal;
/** Parts that the store has got. */
let arrived: number;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'leat-streaming-'));
  makeShards(dir);
  journal = new Journal(join(dir, 'journal'));
  arrived = 0;
  store = watchedStore(countingStore());
  file = new DirtyFile(dir, { directory: ROOT, name: 'f' as Name }, INODE);
  file.writers = 1;
  await writeFile(
    file.path,
    filled(PAGES * PAGE_BYTES, (page) => page),
  );
});
afterEach(() => {
  file.close();
  journal.close();
  rmSync(dir, { recursive: true });
});

function countingStore(): UnderStore {
  const inner = memoryUnderStore();
  const begin = inner.upload.bind(inner);
  inner.upload = async (...args) => {
    const upload = await begin(...args);
    const put: ObjectUpload['put'] = async (...part) => {
      await upload.put(...part);
      arrived++;
    };
    return { ...upload, put };
  };
  return inner;
}

const namespace = {
  find: async () => ({ path: '/f', inode: INODE, origin: ORIGIN, writeType: 'CACHE_THROUGH' }),
} as unknown as Namespace;

async function finished(size: number): Promise<void> {
  const job = { store, key: ORIGIN.key, content: { fd: file.fd, size }, attributes: {}, when: 'absent' } as const;
  await file.stream?.finish({ ...job, isUnchanged: () => true });
}

it('sends no more than the writer knows to have told of, however far ahead of him the file is', async () => {
  const deps = { namespace, storeOf: () => store, journal };
  const puts = () => store.calls.filter((call) => call.startsWith('put ')).length;
  await streamOn(deps, file, { grown: 33 * PAGE_BYTES });
  await expect.poll(() => [arrived, puts()]).toEqual([4, 4]);
  expect(journal.begun).toHaveLength(1);
  // Nobody is told: it lies behind what was told of.
  writeSync(file.fd, Buffer.alloc(PAGE_BYTES, 99), 0, PAGE_BYTES, 36 * PAGE_BYTES);
  await streamOn(deps, file, { grown: PAGES * PAGE_BYTES });
  await finished(PAGES * PAGE_BYTES);
  expect(await pagesIn(store, 'f')).toEqual(Array.from({ length: PAGES }, (_, page) => (page === 36 ? 99 : page)));
  expect(journal.begun).toEqual([]);
});

it('knows of a cut that is told of before the stream has begun', async () => {
  const deps = { namespace, storeOf: () => store, journal };
  const size = 40 * PAGE_BYTES;
  const begun = streamOn(deps, file, { grown: size });
  truncateSync(file.path, 10 * PAGE_BYTES);
  await streamOn(deps, file, { cut: 10 * PAGE_BYTES });
  await begun;
  expect(store.calls).toEqual([]);
  await writeFile(
    file.path,
    filled(size, (page) => page + 1),
  );
  await streamOn(deps, file, { grown: size });
  await finished(size);
  expect(await pagesIn(store, 'f')).toEqual(Array.from({ length: 40 }, (_, page) => page + 1));
});
