import { describe, expect, it } from 'vitest';
import { ChangeLog, LOG_LIFE_MS, RECORD_CHANGES_MAX } from '#shared/feed/log.ts';
import { FEED, ROOT, sequentialId } from '#shared/model/ids.ts';
import type { Inode, Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { RowChange } from '#shared/ports/change-feed.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import { file } from './metastore.contract.ts';

const made = (name: string, after: Row = file(100)): RowChange => ({
  key: { directory: ROOT, name: name as Name },
  before: undefined,
  after,
});
const numbered = (count: number) => Array.from({ length: count }, (_, i) => made(`f${i}`, file(100 + i)));

/** The log is the same over every engine, since it knows the metastore by its port alone. */
export function changeLogContract(name: string, open: () => Promise<{ readonly metastore: Metastore }>): void {
  async function openLog() {
    const { metastore } = await open();
    let ahead = 0;
    const another = () => new ChangeLog({ metastore, clock: () => Date.now() + ahead });
    return { metastore, log: another(), another, advance: (ms: number) => void (ahead += ms) };
  }
  /** As engines do with what has ended, in whatever order. */
  const expire = (metastore: Metastore, ...numbers: number[]) =>
    metastore.commit(
      numbers.map((number) => ({
        act: 'remove',
        key: { directory: FEED, name: String(number).padStart(16, '0') as Name },
        when: 'any',
      })),
    );
  const numbersOf = async (log: ChangeLog, after: number, limit?: number) =>
    (await log.read(after, limit)).records.map(({ sequence }) => sequence);

  describe(`change log: ${name}`, () => {
    it('numbers from 1, and is read behind any number', async () => {
      const { log, another } = await openLog();
      expect([await log.last(), await log.read(0)]).toEqual([0, { records: [], isGap: false }]);
      for (const each of ['a', 'b', 'c']) await log.append([made(each)]);
      expect(await another().last()).toBe(3);
      expect(await numbersOf(another(), 0)).toEqual([1, 2, 3]);
      expect(await numbersOf(log, 1, 1)).toEqual([2]);
      expect(await log.read(3)).toEqual({ records: [], isGap: false });
    });

    it('hands over changes as they were, whatever bytes names are of', async () => {
      const { log } = await openLog();
      const inode: Inode = { ...file(7), kind: 'symlink', target: '\xff/\x80', xattrs: { 'user.a': '\0' } };
      const changes: RowChange[] = [
        made('\x01\xff', inode),
        { key: { directory: sequentialId(99), name: 'gone' as Name }, before: file(8), after: undefined },
        made('r', { kind: 'record', version: 3, body: '"\u{1F30A}"', expiresAt: 5 }),
      ];
      const [written] = await log.append(changes);
      const { records } = await log.read(0);
      expect(records).toEqual([written]);
      expect(records[0]?.changes).toEqual(changes.map((change) => ({ ...change, isCut: false })));
    });

    it('cuts rows that are too large, and keeps what tells one from another', async () => {
      const { log } = await openLog();
      const xattrs = { 'user.big': 'x'.repeat(60_000) };
      const many = Array.from({ length: RECORD_CHANGES_MAX }, (_, i) =>
        made(`${i}`.padStart(255, '\xff'), { ...file(i), xattrs }),
      );
      await log.append(many);
      const { changes = [] } = (await log.read(0)).records[0] ?? {};
      expect(changes).toHaveLength(RECORD_CHANGES_MAX);
      expect(changes[7]).toEqual({ ...many[7], after: file(7), isCut: true });
    });

    it('keeps the order of what takes several records', async () => {
      const { log } = await openLog();
      const changes = numbered(2 * RECORD_CHANGES_MAX + 1);
      expect((await log.append(changes)).map(({ changes: { length } }) => length)).toEqual([100, 100, 1]);
      const { records } = await log.read(0);
      expect(records.flatMap((record) => record.changes.map(({ key }) => key.name))).toEqual(
        changes.map(({ key }) => key.name),
      );
    });

    it('gives every number once, however many append', async () => {
      const { another } = await openLog();
      const logs = Array.from({ length: 8 }, () => another());
      const appended = await Promise.all(
        logs.map(async (log, i) => {
          const own: number[] = [];
          for (let round = 0; round < 5; round++)
            own.push((await log.append([made(`${i}-${round}`)]))[0]?.sequence ?? 0);
          return own;
        }),
      );
      expect(appended.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
      const reader = another();
      expect([...(await numbersOf(reader, 0, 25)), ...(await numbersOf(reader, 25, 25))]).toHaveLength(40);
      expect(await reader.last()).toBe(40);
    });

    it('says where it does not reach back any more', async () => {
      const { metastore, log, another } = await openLog();
      for (const each of ['a', 'b', 'c', 'd', 'e']) await log.append([made(each)]);
      await expire(metastore, 1, 3);
      expect(await another().read(0)).toEqual({ records: [], isGap: true });
      expect(await numbersOf(log, 1)).toEqual([2]);
      expect(await log.read(2)).toEqual({ records: [], isGap: true });
      expect(await numbersOf(log, 3)).toEqual([4, 5]);
      expect(await log.read(9)).toEqual({ records: [], isGap: true });
    });

    it('never gives a number again, also when all has ended, to whomever', async () => {
      const { metastore, log, another, advance } = await openLog();
      const other = another();
      await log.append([made('a')]);
      await other.append([made('b')]);
      await log.append([made('c')]);
      advance(LOG_LIFE_MS);
      await expire(metastore, 1, 2, 3);
      expect(await another().read(1)).toEqual({ records: [], isGap: true });
      // It knew of 2, and others have long passed it.
      expect((await other.append([made('d')]))[0]?.sequence).toBe(4);
      expect(await another().last()).toBe(4);
    });

    it('is not deceived by a list that has passed the place of a record before it was put', async () => {
      const { metastore, log } = await openLog();
      await log.append(numbered(3 * RECORD_CHANGES_MAX));
      const list: Metastore['list'] = async (...page) => (await metastore.list(...page)).slice(1);
      const reader = new ChangeLog({ clock: Date.now, metastore: { ...metastore, list } });
      expect(await numbersOf(reader, 0)).toEqual([1]);
    });

    it('has no gap where it is appended to at any moment of a read', async () => {
      const { metastore, another } = await openLog();
      const appender = another();
      for (let reads = 0; reads < 5; reads++) {
        const at = await appender.last();
        const append = () => appender.append([made('late')]);
        const reader = new ChangeLog({ clock: Date.now, metastore: afterReads(metastore, reads, append) });
        expect(await reader.read(at)).toMatchObject({ isGap: false });
      }
    });

    it('finds what an appender has put that died before it could say so', async () => {
      const { metastore, log, another } = await openLog();
      await log.append([made('a')]);
      const died = new ChangeLog({ clock: Date.now, metastore: failingAfter(metastore, 1) });
      await expect(died.append([made('b')])).rejects.toThrow('died');
      expect(await another().last()).toBe(2);
      expect((await another().append([made('c')]))[0]?.sequence).toBe(3);
    });
  });
}

/** Acts before the read that comes after so many. */
function afterReads(metastore: Metastore, reads: number, act: () => Promise<unknown>): Metastore {
  let left = reads;
  const acted = async () => {
    if (left-- === 0) await act();
  };
  return {
    ...metastore,
    get: (...asked) => acted().then(() => metastore.get(...asked)),
    list: (...page) => acted().then(() => metastore.list(...page)),
  };
}

/** Fails every commit after so many. */
function failingAfter(metastore: Metastore, commits: number): Metastore {
  let left = commits;
  return {
    ...metastore,
    commit: async (changes, options) => {
      if (left-- <= 0) throw new Error('died');
      return metastore.commit(changes, options);
    },
  };
}
