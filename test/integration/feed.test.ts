import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { localWorkQueue } from '#agent/embedded/work-queue.ts';
import { Inbox } from '#agent/joined/inbox.ts';
import { streamFeed } from '#functions/feed/feed.ts';
import { type DueTime, FoldedTimes, writeTimes } from '#functions/feed/folded-times.ts';
import { namespaceEvents } from '#shared/feed/events.ts';
import { followedLog } from '#shared/feed/followed-log.ts';
import { ChangeLog } from '#shared/feed/log.ts';
import { QuotaUsage } from '#shared/feed/quota-usage.ts';
import { countIn, totalsOf } from '#shared/feed/totals.ts';
import { ROOT } from '#shared/model/ids.ts';
import { Agents } from '#shared/namespace/agents.ts';
import type { RunningNamespace } from '#shared/namespace/create-namespace.ts';
import { memoryUnderStore } from '#shared/under-stores/memory.ts';
import { DYNAMODB_LOCAL, dynamoTables, MINISTACK } from '../support/dynamodb-engine.ts';
import { path, ROOT_USER } from '../support/namespace.ts';
import { tableStream } from '../support/table-stream.ts';
import { openShared } from '../support/shared-namespace.ts';

const MODE = { mode: 0o755 };
const PATIENCE_MS = 20_000;

for (const kind of [DYNAMODB_LOCAL, MINISTACK]) {
  describe.skipIf(!kind.isThere())(`the feed of a table on ${kind.name}`, () => {
    const { newTable } = dynamoTables(kind);
    const running: RunningNamespace[] = [];
    afterEach(async () => {
      for (const namespace of running.splice(0)) await namespace.close();
    });

    async function open() {
      const { client, table, metastore } = await newTable();
      const clock = () => performance.timeOrigin + performance.now();
      const namespace = await openShared({ metastore, clock, storeOf: () => memoryUnderStore(), log: () => {} });
      running.push(namespace);
      const log = new ChangeLog({ metastore, clock });
      const queue = localWorkQueue({ clock });
      const agents = new Agents({ metastore, clock, inboxes: { open: async (id) => id, remove: async () => {} } });
      const warned: string[] = [];
      const later: DueTime[] = [];
      const handler = streamFeed({
        log,
        agents,
        inboxOf: () => queue,
        count: (changes) => countIn({ metastore, clock }, changes),
        quotas: new QuotaUsage({ metastore, clock }),
        times: new FoldedTimes({ metastore, clock, later: async (due) => void later.push(...due) }),
        warn: (line) => void warned.push(line),
      });
      const records = await tableStream(client, table);
      /** As the poller does, until the stream tells of nothing more, not even of what the feed has written itself. */
      const pump = async () => {
        for (let silent = 0; silent < 3;) {
          const Records = await records();
          silent = Records.length === 0 ? silent + 1 : 0;
          const { batchItemFailures } = await handler({ Records });
          if (batchItemFailures.length > 0) throw new Error(`the feed wants records again: ${warned.join('; ')}`);
          if (Records.length === 0) await sleep(50);
        }
      };
      const fold = async () => {
        for (const due of later.splice(0)) await writeTimes(metastore, due);
      };
      return { namespace, metastore, log, queue, agents, pump, fold, warned };
    }

    it('brings every change of a namespace to its followers, in order within a directory', async () => {
      const { namespace, metastore, log, pump, warned } = await open();
      await namespace.mkdir(ROOT_USER, path('/a/b'), { ...MODE, parents: true });
      const names = Array.from({ length: 30 }, (_, i) => `/a/b/f${i}`);
      for (const name of names) await namespace.create(ROOT_USER, path(name), MODE);
      await namespace.rename(ROOT_USER, path('/a/b'), path('/moved'));
      await namespace.remove(ROOT_USER, path('/moved/f3'), 'file');
      await pump();
      const ended = new AbortController();
      const shown: string[] = [];
      const events = namespaceEvents({ feed: followedLog({ log, sleep: () => sleep(1) }), metastore });
      for await (const event of events.follow({
        actor: ROOT_USER,
        path: path('/'),
        after: '0',
        signal: ended.signal,
      })) {
        if (event.what === 'ready') ended.abort();
        else if ('path' in event && event.what !== 'changed') shown.push(`${event.what} ${event.path}`);
      }
      // By now the directory is where it has been moved to.
      const inB = names.map((name) => `created /moved${name.slice('/a/b'.length)}`);
      expect(shown.filter((line) => line.includes('/moved/'))).toEqual([...inB, 'removed /moved/f3']);
      expect(shown.filter((line) => !line.includes('/moved/')).toSorted()).toEqual([
        'created /',
        'created /a',
        'created /a/b',
        'created /moved',
        'removed /a/b',
      ]);
      expect(warned).toEqual([]);
    });

    it('counts what is in each directory', async () => {
      const { namespace, metastore, pump } = await open();
      const { id } = await namespace.mkdir(ROOT_USER, path('/d'), MODE);
      const other = await namespace.mkdir(ROOT_USER, path('/other'), MODE);
      for (let i = 0; i < 12; i++) await namespace.create(ROOT_USER, path(`/d/f${i}`), MODE);
      await pump();
      expect(await totalsOf(metastore, [ROOT, id, other.id])).toEqual([
        { entries: 2, bytes: 0 },
        { entries: 12, bytes: 0 },
        { entries: 0, bytes: 0 },
      ]);
      await namespace.rename(ROOT_USER, path('/d/f0'), path('/other/f0'));
      await namespace.remove(ROOT_USER, path('/d/f1'), 'file');
      await namespace.rename(ROOT_USER, path('/d/f2'), path('/d/f3'));
      await pump();
      expect((await totalsOf(metastore, [id, other.id])).map(({ entries }) => entries)).toEqual([9, 1]);
    });

    it('writes the times of directories by the clock of those who changed them', async () => {
      const { namespace, pump, fold } = await open();
      await namespace.mkdir(ROOT_USER, path('/d'), MODE);
      for (const name of ['/d/first', '/d/last']) {
        const file = await namespace.create(ROOT_USER, path(name), MODE);
        await pump();
        await fold();
        const { inode } = await namespace.stat(ROOT_USER, path('/d'));
        expect(inode.mtime / 1_000_000n).toBe(file.ctime / 1_000_000n);
      }
    });

    it('keeps what an agent knows of rows in step, also when its messages are lost', async () => {
      const { namespace, log, queue, agents, pump, warned } = await open();
      await agents.join('one');
      const known = new Set<string>();
      const dropped: string[] = [];
      let saved: number | undefined;
      const inbox = new Inbox({
        queue,
        log,
        cursor: { load: () => saved, save: (sequence) => void (saved = sequence) },
        apply(changes) {
          for (const { key } of changes) if (known.delete(key.name)) dropped.push(key.name);
        },
        lost: () => known.clear(),
        sleep: (ms) => sleep(ms),
        warn: (line) => void warned.push(line),
      });
      await inbox.catchUp();
      for (const name of ['a', 'b', 'c']) {
        await namespace.create(ROOT_USER, path(`/${name}`), MODE);
        known.add(name);
      }
      await pump();
      const { signal } = new AbortController();
      for (const until = Date.now() + PATIENCE_MS; known.size > 0 && Date.now() < until;)
        await inbox.turn(1000, signal);
      expect(dropped).toEqual(['a', 'b', 'c']);
      // The next message does not arrive, and the one after it tells so.
      known.add('a');
      await namespace.setAttributes(ROOT_USER, path('/a'), { mode: 0o600 });
      await pump();
      await queue.done(await queue.receive({ limit: 10, waitMs: 0, holdMs: 1000 }));
      known.add('b');
      await namespace.setAttributes(ROOT_USER, path('/b'), { mode: 0o600 });
      await pump();
      for (const until = Date.now() + PATIENCE_MS; known.size > 0 && Date.now() < until;)
        await inbox.turn(1000, signal);
      expect(dropped.slice(3)).toEqual(['a', 'b']);
      expect(saved).toBe(await log.last());
      expect(warned).toEqual([]);
    });
  });
}
