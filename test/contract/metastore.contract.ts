import { describe, expect, it } from 'vitest';
import { ROOT, type InodeId, sequentialId } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { ChangeFeed, CommitEvent } from '#shared/ports/change-feed.ts';
import { type Change, CHANGES_MAX, type Metastore, type NewId } from '#shared/ports/metastore.ts';

export interface OpenMetastore {
  readonly metastore: Metastore;
  /** Moves the clock of the store. */
  advance(ms: number): void;
}

/** One that is alone with its rows, in our process: it can hand out ids, and tell of each commit before it answers. */
export interface OpenEmbeddedMetastore extends OpenMetastore {
  readonly metastore: Metastore & { readonly newId: NewId };
  readonly feed: ChangeFeed;
}

export const file = (id: number, version = 1): Inode => ({
  kind: 'file',
  id: sequentialId(id),
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: id,
  atime: 1n,
  mtime: 1n,
  ctime: 1n,
  version,
  generation: 1,
});

const key = (name: string, directory: InodeId = ROOT) => ({ directory, name: name as Name });
const put = (name: string, row = file(100), when: Change['when'] = 'any'): Change => ({
  act: 'put',
  key: key(name),
  when,
  row,
});

export function metastoreContract(name: string, open: () => Promise<OpenMetastore>): void {
  describe(`Metastore contract: ${name}`, () => {
    it('answers what was committed, and absence as a value', async () => {
      const { metastore } = await open();
      expect(await metastore.get([key('a')])).toEqual([undefined]);
      expect(await metastore.commit([put('a'), put('c', file(102))])).toEqual({ committed: true });
      expect(await metastore.get([key('c'), key('b'), key('a')])).toEqual([file(102), undefined, file(100)]);
    });

    it('changes nothing when one condition fails, and names it', async () => {
      const { metastore } = await open();
      await metastore.commit([put('a')]);
      const attempt = [put('b'), put('a', file(101), 'absent'), put('c', file(1), { version: 1 })];
      expect(await metastore.commit(attempt)).toEqual({ committed: false, failed: [1, 2] });
      expect(await metastore.get([key('a'), key('b')])).toEqual([file(100), undefined]);
      const stale: Change[] = [{ act: 'check', key: key('a'), when: { version: 2 } }, put('b')];
      expect(await metastore.commit(stale)).toEqual({ committed: false, failed: [0] });
    });

    it('tells an inode from another of the same version that has taken its key', async () => {
      const { metastore } = await open();
      await metastore.commit([put('a', file(101))]);
      const { id } = file(100);
      expect(await metastore.commit([put('a', file(100), { version: 1, id })])).toEqual({
        committed: false,
        failed: [0],
      });
      const other = file(101).id;
      expect(await metastore.commit([put('a', file(100), { version: 1, id: other })])).toEqual({ committed: true });
      expect(await metastore.commit([{ act: 'remove', key: key('a'), when: { version: 1, id } }])).toEqual({
        committed: true,
      });
    });

    it('replaces and removes under a version', async () => {
      const { metastore } = await open();
      await metastore.commit([put('a')]);
      expect(await metastore.commit([put('a', file(100, 2), { version: 1 })])).toEqual({ committed: true });
      const remove = (version: number): Change => ({ act: 'remove', key: key('a'), when: { version } });
      expect(await metastore.commit([remove(1)])).toMatchObject({ committed: false });
      expect(await metastore.commit([remove(2)])).toEqual({ committed: true });
      expect(await metastore.get([key('a')])).toEqual([undefined]);
    });

    it('lists a directory by the bytes of the names, in pages, and nothing of its neighbours', async () => {
      const { metastore } = await open();
      const names = ['\xff', 'a', 'a\x00b'.replace('\x00', '\x01'), 'ab', 'B', '\x80', 'é', 'z'.repeat(255)].toSorted(
        (a, b) => (a < b ? -1 : 1),
      );
      const other: Change = { act: 'put', key: key('q', sequentialId(2)), when: 'any', row: file(7) };
      await metastore.commit([...names.toReversed().map((each) => put(each)), other]);
      const listed: string[] = [];
      for (let page = await metastore.list(ROOT, { limit: 3 }); page.length > 0;) {
        listed.push(...page.map((each) => each.name));
        page = await metastore.list(ROOT, { after: listed.at(-1) as Name, limit: 3 });
      }
      expect(listed).toEqual(names);
    });

    it('lets exactly one of many concurrent writers win', async () => {
      const { metastore } = await open();
      const results = await Promise.all(
        Array.from({ length: 64 }, (_, i) => metastore.commit([put('a', file(i), 'absent')])),
      );
      expect(results.filter((result) => result.committed)).toHaveLength(1);
      const winner = results.findIndex((result) => result.committed);
      expect(await metastore.get([key('a')])).toEqual([file(winner)]);
    });

    it('applies a token once, until it has grown old', async () => {
      const { metastore, advance } = await open();
      await metastore.commit([put('a', file(1), 'absent')], { token: 't' });
      expect(await metastore.commit([put('a', file(2), 'absent')], { token: 't' })).toEqual({ committed: true });
      expect(await metastore.get([key('a')])).toEqual([file(1)]);
      advance(3_600_000);
      expect(await metastore.commit([put('a', file(2), 'absent')], { token: 't' })).toMatchObject({ committed: false });
    });

    it('refuses more changes than a transaction of every engine can hold', async () => {
      const { metastore } = await open();
      const many = Array.from({ length: CHANGES_MAX + 1 }, (_, i) => put(`f${i}`));
      await expect(async () => metastore.commit(many)).rejects.toThrow(/over 100/);
    });
  });
}

export function embeddedMetastoreContract(name: string, open: () => Promise<OpenEmbeddedMetastore>): void {
  metastoreContract(name, open);

  describe(`Embedded metastore contract: ${name}`, () => {
    it('publishes each commit once, in order, with what was there before, before it answers', async () => {
      const { metastore, feed } = await open();
      const events: CommitEvent[] = [];
      const stop = feed.subscribe((event) => events.push(event));
      await metastore.commit([put('a')], { source: 'me' });
      expect(events).toEqual([{ source: 'me', changes: [{ key: key('a'), before: undefined, after: file(100) }] }]);
      await metastore.commit([put('a', file(3), 'absent')]);
      await metastore.commit([{ act: 'remove', key: key('a'), when: 'any' }]);
      expect(events).toHaveLength(2);
      expect(events[1]?.changes).toEqual([{ key: key('a'), before: file(100), after: undefined }]);
      stop();
    });

    it('leaves turns of the event loop to others, however many commits follow one another', async () => {
      const { metastore } = await open();
      let isOver = false;
      setTimeout(() => (isOver = true), 1);
      let commits = 0;
      while (!isOver && commits < 200_000) {
        await metastore.commit([put(`f${commits++ % 1000}`)]);
      }
      expect(isOver).toBe(true);
    });

    it('never hands out an id twice', async () => {
      const { metastore } = await open();
      expect(new Set(Array.from({ length: 25_000 }, () => metastore.newId())).size).toBe(25_000);
    });
  });
}
