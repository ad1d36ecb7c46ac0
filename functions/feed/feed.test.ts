import { describe, expect, it } from 'vitest';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { heapMetastore } from '#agent/embedded/heap-metastore.ts';
import { localWorkQueue } from '#agent/embedded/work-queue.ts';
import { fromMessage } from '#shared/feed/inbox-message.ts';
import { ChangeLog } from '#shared/feed/log.ts';
import {
  ABOVE_ROOT,
  AGENTS,
  FEED,
  INTENTS,
  type InodeId,
  MOUNTS,
  PLACES,
  ROOT,
  TOKENS,
  TOTALS,
  TRASH,
} from '#shared/model/ids.ts';
import type { Inode, Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import { QuotaUsage } from '#shared/feed/quota-usage.ts';
import { countIn, totalsOf } from '#shared/feed/totals.ts';
import type { JoinedAgent } from '#shared/namespace/agents.ts';
import { nanosOf } from '#shared/namespace/context.ts';
import type { RowChange } from '#shared/ports/change-feed.ts';
import type { WorkQueue } from '#shared/ports/work-queue.ts';
import { file } from '../../test/contract/metastore.contract.ts';
import { openNamespace, path, ROOT_USER } from '../../test/support/namespace.ts';
import { streamRecord } from '../../test/support/stream.ts';
import { type DueTime, FoldedTimes, writeTimes } from './folded-times.ts';
import { type FeedDeps, streamFeed } from './feed.ts';

const MODE = { mode: 0o755 };
const change = (name: string, directory: InodeId = ROOT, after: Row = file(100)): RowChange => ({
  key: { directory, name: name as Name },
  before: undefined,
  after,
});
const agent = (id: string): JoinedAgent => ({ id, inbox: id, until: Infinity });

function open({ joined = ['one', 'two'], ...own }: Partial<FeedDeps> & { joined?: string[] } = {}) {
  let ahead = 0;
  const clock = () => Date.now() + ahead;
  const metastore = heapMetastore({ feed: localFeed(), clock });
  const log = new ChangeLog({ metastore, clock });
  const inboxes = new Map(joined.map((id) => [id, localWorkQueue({ clock })]));
  const warned: string[] = [];
  const handler = streamFeed({
    log,
    agents: { joined: async () => joined.map(agent) },
    inboxOf: (inbox) => inboxes.get(inbox) as WorkQueue,
    count: (changes) => countIn({ metastore, clock }, changes),
    quotas: new QuotaUsage({ metastore, clock }),
    times: new FoldedTimes({ metastore, clock, later: async () => {} }),
    warn: (line) => void warned.push(line),
    ...own,
  });
  const told = async (id: string) => {
    const messages = (await inboxes.get(id)?.receive({ limit: 10, waitMs: 0, holdMs: 1000 })) ?? [];
    return messages.map(({ body }) => fromMessage(body));
  };
  return { handler, log, told, warned, metastore, advance: (ms: number) => void (ahead += ms) };
}

describe('streamFeed', () => {
  it('appends to the log in the order of the stream, and tells every agent', async () => {
    const { handler, log, told } = open();
    const root = change('', ABOVE_ROOT, { ...file(1), kind: 'directory' });
    const changes = [change('b'), change('\xff\x01', 'sixteen bytes id' as InodeId), root];
    const Records = changes.map((each) => streamRecord(each, { source: 'agent-1' }));
    expect(await handler({ Records })).toEqual({ batchItemFailures: [] });
    const { records } = await log.read(0);
    expect(records).toHaveLength(1);
    expect(records[0]?.changes).toEqual(changes.map((each) => ({ ...each, source: 'agent-1', isCut: false })));
    expect(await told('one')).toEqual(records);
    expect(await told('two')).toEqual(records);
  });

  it('tells of mounts, which agents have to know of', async () => {
    const { handler, told } = open();
    const mounted = change('m', MOUNTS, { kind: 'record', version: 1, body: '{}' });
    await handler({ Records: [streamRecord(mounted)] });
    expect((await told('one')).flatMap(({ changes }) => changes)).toEqual([{ ...mounted, isCut: false }]);
  });

  it('tells nobody of itself and of what belongs to executors, and does not even ask who is there', async () => {
    const { handler, log, warned } = open({ agents: { joined: () => Promise.reject(new Error('asked')) } });
    const Records = [FEED, AGENTS, TOKENS, PLACES, INTENTS, TRASH, TOTALS].map((directory) =>
      streamRecord(change('x', directory)),
    );
    expect(await handler({ Records })).toEqual({ batchItemFailures: [] });
    expect([await log.last(), warned]).toEqual([0, []]);
  });

  it('takes what cannot be read for the first to come again, and does what stands before it', async () => {
    const { handler, log, warned } = open();
    const [good, bad, after] = [streamRecord(change('good')), streamRecord(change('bad')), streamRecord(change('c'))];
    const broken = { dynamodb: { ...bad.dynamodb, NewImage: { r: { B: 'AAAA' } } } };
    const { batchItemFailures } = await handler({ Records: [good, broken, after] });
    expect(batchItemFailures).toEqual([{ itemIdentifier: bad.dynamodb?.SequenceNumber }]);
    const { records } = await log.read(0);
    expect(records.flatMap(({ changes }) => changes.map(({ key }) => key.name))).toEqual(['good']);
    expect(warned).toEqual([expect.stringMatching(/^record 0+\d+ of the stream: /)]);
  });

  it('wants back what the log has not taken, from there on', async () => {
    const { handler, log, told } = open({ log: { append: () => Promise.reject(new Error('throttled')) } as never });
    const Records = [streamRecord(change('x', TOKENS)), streamRecord(change('a')), streamRecord(change('b'))];
    const { batchItemFailures } = await handler({ Records });
    expect(batchItemFailures).toEqual([{ itemIdentifier: Records[1]?.dynamodb?.SequenceNumber }]);
    expect([await log.last(), await told('one')]).toEqual([0, []]);
  });

  it('counts what is in a directory, once, however often a batch comes', async () => {
    const { handler, metastore } = open();
    const gone = { ...change('b'), before: file(4), after: undefined };
    const Records = [change('a', ROOT, file(7)), change('b', ROOT, file(4)), gone].map((each) => streamRecord(each));
    for (let i = 0; i < 2; i++) await handler({ Records });
    expect(await totalsOf(metastore, [ROOT])).toEqual([{ entries: 1, bytes: 7 }]);
  });

  it('wants back what it has not counted', async () => {
    const { handler, log, told } = open({ count: () => Promise.reject(new Error('throttled')) });
    const Records = [streamRecord(change('a'))];
    const { batchItemFailures } = await handler({ Records });
    expect(batchItemFailures).toEqual([{ itemIdentifier: Records[0]?.dynamodb?.SequenceNumber }]);
    expect([await log.last(), (await told('one')).length]).toEqual([1, 1]);
  });

  it('tells the others when the inbox of one is gone', async () => {
    const queue = localWorkQueue({ clock: Date.now });
    const gone = { send: () => Promise.reject(new Error('no such queue')) };
    const { handler, warned } = open({ inboxOf: (id) => (id === 'one' ? gone : queue) });
    expect(await handler({ Records: [streamRecord(change('a'))] })).toEqual({ batchItemFailures: [] });
    expect(await queue.receive({ limit: 10, waitMs: 0, holdMs: 1000 })).toHaveLength(1);
    expect(warned).toEqual(['agent one was not told: unexpected failure: no such queue']);
  });

  it('is content when nobody can be told: agents read the log', async () => {
    const { handler, log, warned } = open({ agents: { joined: () => Promise.reject(new Error('throttled')) } });
    expect(await handler({ Records: [streamRecord(change('a'))] })).toEqual({ batchItemFailures: [] });
    expect([await log.last(), warned.length]).toEqual([1, 1]);
  });
});

describe('FoldedTimes', () => {
  /** A namespace whose directories' times are only written by what is tested. */
  async function openTree() {
    let ahead = 0;
    const clock = () => Date.now() + ahead;
    const feed = localFeed();
    const metastore = heapMetastore({ feed, clock });
    const { namespace } = await openNamespace({ metastore });
    await namespace.mkdir(ROOT_USER, path('/d'), MODE);
    const { inode } = await namespace.stat(ROOT_USER, path('/d'));
    const row = async () => (await namespace.stat(ROOT_USER, path('/d'))).inode;
    const later: DueTime[][] = [];
    const times = new FoldedTimes({ metastore, clock, later: async (due) => void later.push([...due]) });
    const at = Date.now() + 5000;
    const born = (name: string, bornAt: number): RowChange => change(name, inode.id, { ...file(7), bornAt });
    const fold = (...changes: RowChange[]) =>
      times.fold(changes.map((each) => ({ ...each, sequence: '1', at: Math.floor(at / 1000) * 1000 })));
    return { namespace, metastore, row, fold, born, at, inode, later, advance: (ms: number) => void (ahead += ms) };
  }
  const written = (ms: number): Partial<Inode> => ({ mtime: nanosOf(ms), ctime: nanosOf(ms) });

  it('writes when the last entry came, to the moment', async () => {
    const { row, fold, born, at, inode } = await openTree();
    await fold(born('a', at), born('b', at + 7), born('c', at + 3));
    expect(await row()).toMatchObject({ ...written(at + 7), version: inode.version + 1 });
  });

  it('writes at most once a second, and then what was left', async () => {
    const { row, fold, born, at, inode, later, advance } = await openTree();
    await fold(born('a', at));
    expect(later).toEqual([]);
    await fold(born('b', at + 1));
    await fold();
    await fold(born('c', at + 2));
    expect(await row()).toMatchObject({ ...written(at), version: inode.version + 1 });
    expect(later).toEqual([[[inode.id, at + 1]], [[inode.id, at + 2]]]);
    advance(1001);
    await fold();
    expect(await row()).toMatchObject({ ...written(at + 2), version: inode.version + 2 });
  });

  it('has the rest of a burst written by others, who leave newer times', async () => {
    const { metastore, row, fold, born, at, inode, later } = await openTree();
    await fold(born('a', at));
    await fold(born('b', at + 2));
    for (const due of later.flat()) await writeTimes(metastore, due);
    expect(await row()).toMatchObject({ ...written(at + 2), version: inode.version + 2 });
    await writeTimes(metastore, [inode.id, at + 1]);
    expect(await row()).toMatchObject({ ...written(at + 2), version: inode.version + 2 });
  });

  it('knows of what went the second only', async () => {
    const { row, fold, at, inode } = await openTree();
    const key = { directory: inode.id, name: 'a' as Name };
    await fold({ key, before: file(7), after: undefined });
    expect(await row()).toMatchObject(written(Math.floor(at / 1000) * 1000));
  });

  it('leaves times that were set by hand after the change', async () => {
    const { namespace, row, fold, born } = await openTree();
    const before = Date.now() - 1;
    const set = await namespace.setAttributes(ROOT_USER, path('/d'), { mtime: 1n });
    await fold(born('a', before));
    expect(await row()).toEqual(set);
  });

  it('leaves alone what has only changed, what a listing brought, and what is being removed', async () => {
    const { metastore, row, fold, born, at, inode } = await openTree();
    const loaded = change('loaded', inode.id, file(8));
    const changed = { ...born('a', at), before: file(7) };
    await fold(loaded, changed);
    expect(await row()).toEqual(inode);
    const key = { directory: ROOT, name: 'd' as Name };
    const closing: Inode = { ...inode, version: inode.version + 1, closing: { token: 't', until: Infinity } };
    await metastore.commit([{ act: 'put', key, when: 'any', row: closing }]);
    await fold(born('a', at));
    expect(await metastore.get([key])).toEqual([closing]);
  });

  it('finds a directory where it has been moved to, and bears that it is gone', async () => {
    const { namespace, fold, born, at } = await openTree();
    await namespace.mkdir(ROOT_USER, path('/other'), MODE);
    await namespace.rename(ROOT_USER, path('/d'), path('/other/e'));
    await fold(born('a', at), change('b', 'unknown' as InodeId));
    expect((await namespace.stat(ROOT_USER, path('/other/e'))).inode).toMatchObject(written(at));
  });

  it('writes the times of the root', async () => {
    const { namespace, fold, at } = await openTree();
    await fold(change('new', ROOT, { ...file(9), bornAt: at }));
    expect((await namespace.stat(ROOT_USER, path('/'))).inode).toMatchObject(written(at));
  });
});
