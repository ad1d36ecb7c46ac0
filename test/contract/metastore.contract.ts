import { describe, expect, it } from 'vitest';
import { MOUNTS, ROOT, type InodeId, sequentialId } from '#shared/model/ids.ts';
import type { Inode, MountId, RecordRow } from '#shared/model/inode.ts';
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

    it('answers each key that is asked for, however many there are and however often', async () => {
      const { metastore } = await open();
      const names = Array.from({ length: 230 }, (_, i) => `f${i}`);
      for (let at = 0; at < names.length; at += CHANGES_MAX) {
        const part = names.slice(at, at + CHANGES_MAX);
        await metastore.commit(part.map((name, i) => put(name, file(at + i))));
      }
      const asked = [...names.toReversed(), 'nowhere', 'f7', 'f7'];
      const expected = [...names.map((_, i) => file(i)).toReversed(), undefined, file(7), file(7)];
      expect(await metastore.get(asked.map((name) => key(name)))).toEqual(expected);
      expect(await metastore.get([key('f7'), key('f7')])).toEqual([file(7), file(7)]);
      expect(await metastore.get([])).toEqual([]);
    });

    it('keeps any bytes as a name, none at all and the longest too, under short ids and long ones', async () => {
      const { metastore } = await open();
      const long = '\xff\0'.repeat(8) as InodeId;
      const rows: Change[] = ['', '\0\0', '\x01', '\xff'.repeat(255), '\xc3\xa9', '\xff\0'].flatMap((name, i) => [
        { act: 'put', key: key(name), when: 'absent', row: file(i) },
        { act: 'put', key: key(name, long), when: 'absent', row: { ...file(i), id: long } },
      ]);
      expect(await metastore.commit(rows)).toEqual({ committed: true });
      for (const directory of [ROOT, long]) {
        const ours = rows.filter(({ key: each }) => each.directory === directory);
        const sorted = ours.toSorted((a, b) => (a.key.name < b.key.name ? -1 : 1));
        const listed = await metastore.list(directory, { limit: 100 });
        expect(listed.map(({ name }) => name)).toEqual(sorted.map((each) => each.key.name));
        expect(await metastore.list(directory, { after: '' as Name, limit: 100 })).toEqual(listed.slice(1));
        expect(await metastore.get(listed.map(({ name }) => key(name, directory)))).toEqual(
          listed.map(({ row }) => row),
        );
      }
      expect(await metastore.commit([{ act: 'remove', key: key(''), when: 'any' }])).toEqual({ committed: true });
      expect(await metastore.get([key(''), key('', long)])).toEqual([undefined, { ...file(0), id: long }]);
    });

    it('judges a check like a change, and leaves the row', async () => {
      const { metastore } = await open();
      await metastore.commit([put('a', file(100, 4))]);
      const { id } = file(100);
      const check = (name: string, when: Change['when']): Change => ({ act: 'check', key: key(name), when });
      const held = [
        check('a', 'any'),
        check('a', { version: 4 }),
        check('a', { version: 4, id }),
        check('b', 'absent'),
      ];
      const broken = [check('a', 'absent'), check('a', { version: 3 }), check('b', { version: 4 })];
      for (const each of held) {
        expect(await metastore.commit([each])).toEqual({ committed: true });
        expect(await metastore.commit([put('c'), each])).toEqual({ committed: true });
      }
      for (const each of broken) {
        expect(await metastore.commit([each])).toEqual({ committed: false, failed: [0] });
        expect(await metastore.commit([put('d'), each])).toEqual({ committed: false, failed: [1] });
      }
      expect(await metastore.get([key('a'), key('b'), key('d')])).toEqual([file(100, 4), undefined, undefined]);
    });

    it('has nothing against removing what is not there, unless a condition has', async () => {
      const { metastore } = await open();
      const remove = (when: Change['when']): Change => ({ act: 'remove', key: key('a'), when });
      expect(await metastore.commit([remove('any')])).toEqual({ committed: true });
      expect(await metastore.commit([remove('absent')])).toEqual({ committed: true });
      expect(await metastore.commit([remove({ version: 1 })])).toEqual({ committed: false, failed: [0] });
      await metastore.commit([put('a')]);
      expect(await metastore.commit([remove('absent')])).toEqual({ committed: false, failed: [0] });
      expect(await metastore.commit([put('b'), remove('any')])).toEqual({ committed: true });
      expect(await metastore.get([key('a'), key('b')])).toEqual([undefined, file(100)]);
    });

    it('does not take a second asker for the first, although both put the same', async () => {
      const { metastore } = await open();
      const same = put('a', file(1), 'absent');
      expect(await metastore.commit([same])).toEqual({ committed: true });
      expect(await metastore.commit([same])).toEqual({ committed: false, failed: [0] });
      expect(await metastore.commit([same, put('b')])).toEqual({ committed: false, failed: [0] });
    });

    it('applies as many changes at once as it promises to', async () => {
      const { metastore } = await open();
      const many = Array.from({ length: CHANGES_MAX }, (_, i) => put(`f${i}`, file(i), 'absent'));
      expect(await metastore.commit(many)).toEqual({ committed: true });
      const failed = Array.from({ length: CHANGES_MAX }, (_, i) => i);
      expect(await metastore.commit(many)).toEqual({ committed: false, failed });
      expect(await metastore.list(ROOT, { limit: 1000 })).toHaveLength(CHANGES_MAX);
    });

    it('keeps what users and stores set, and lists rows past a megabyte in one answer', async () => {
      const { metastore } = await open();
      const rows = Array.from({ length: 30 }, (_, i): Inode => {
        const xattrs = { 'user.a': '\0\xff'.repeat(30_000) };
        return { ...file(i), xattrs, mount: 'm' as MountId, closing: { token: 't', until: 5 } };
      });
      const nameOf = (i: number) => `f${String(i).padStart(2, '0')}`;
      await metastore.commit(rows.map((row, i) => put(nameOf(i), row)));
      const listed = rows.map((row, i) => ({ name: nameOf(i), row }));
      expect(await metastore.list(ROOT, { limit: 1000 })).toEqual(listed);
      expect(await metastore.list(ROOT, { after: 'f01' as Name, limit: 25 })).toEqual(listed.slice(2, 27));
      expect(await metastore.get(rows.map((_, i) => key(nameOf(i))))).toEqual(rows);
    });

    it('keeps records, and answers those whose life is over as they are', async () => {
      const { metastore, advance } = await open();
      const record = (fields: Partial<RecordRow>): RecordRow => ({ kind: 'record', version: 1, body: '{}', ...fields });
      // Over by our clock only: by its own, the engine would remove them in the middle of the test.
      const inAMinute = Date.now() + 60_000;
      const rows = [
        record({}),
        record({ body: '{"a":"é"}', expiresAt: inAMinute + 0.5 }),
        record({ expiresAt: inAMinute }),
      ];
      await metastore.commit(rows.map((row, i) => ({ act: 'put', key: key(`r${i}`, MOUNTS), when: 'absent', row })));
      advance(3_600_000);
      expect(await metastore.get(rows.map((_, i) => key(`r${i}`, MOUNTS)))).toEqual(rows);
      const again: Change = { act: 'put', key: key('r2', MOUNTS), when: 'absent', row: record({}) };
      expect(await metastore.commit([again])).toEqual({ committed: false, failed: [0] });
      const next: Change = { ...again, when: { version: 1 }, row: record({ version: 2 }) };
      expect(await metastore.commit([next])).toEqual({ committed: true });
      const ofInode: Change = { ...again, when: { version: 2, id: file(1).id } };
      expect(await metastore.commit([ofInode])).toEqual({ committed: false, failed: [0] });
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

    it('remembers no token of a commit whose conditions failed', async () => {
      const { metastore } = await open();
      await metastore.commit([put('a', file(1))]);
      const attempt = [put('b'), put('a', file(2), 'absent')];
      expect(await metastore.commit(attempt, { token: 't' })).toEqual({ committed: false, failed: [1] });
      await metastore.commit([{ act: 'remove', key: key('a'), when: 'any' }]);
      expect(await metastore.commit(attempt, { token: 't' })).toEqual({ committed: true });
      expect(await metastore.commit([put('a', file(9))], { token: 't' })).toEqual({ committed: true });
      expect(await metastore.get([key('a'), key('b')])).toEqual([file(2), file(100)]);
    });

    it('applies one of the commits that carry the same token at the same time', async () => {
      const { metastore } = await open();
      const commits = Array.from({ length: 8 }, (_, i) => metastore.commit([put(`f${i}`)], { token: 't' }));
      expect(await Promise.all(commits)).toEqual(Array.from({ length: 8 }, () => ({ committed: true })));
      expect(await metastore.list(ROOT, { limit: 10 })).toHaveLength(1);
    });

    it('refuses more changes than a transaction of every engine can hold', async () => {
      const { metastore } = await open();
      const many = Array.from({ length: CHANGES_MAX + 1 }, (_, i) => put(`f${i}`));
      await expect(async () => metastore.commit(many)).rejects.toThrow(/over 100/);
      await expect(async () => metastore.commit(many.slice(1), { token: 't' })).rejects.toThrow(/over 100/);
      expect(await metastore.commit(many.slice(2), { token: 't' })).toEqual({ committed: true });
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
