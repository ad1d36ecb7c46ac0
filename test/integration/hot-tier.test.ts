import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { heapMetastore } from '#agent/embedded/heap-metastore.ts';
import { openHotRows } from '#agent/joined/hot-rows.ts';
import { type HotTier, hotTier } from '#agent/joined/hot-tier.ts';
import { type InodeId, MOUNTS } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import { decodeRow } from '#shared/model/row-codec.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import { file, metastoreContract } from '../contract/metastore.contract.ts';

const LEASE_MS = 1000;
const DIRECTORY = '\x80long directory!!'.slice(0, 16) as InodeId;
const OTHER = '\x81long directory!!'.slice(0, 16) as InodeId;

interface Stage {
  readonly tier: HotTier;
  readonly remote: Metastore;
  /** Requests to the remote store so far. */
  asked(): number;
}

let dir: string;
let now: number;
const opened: HotTier[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leat-hot-'));
  now = Date.now();
});
afterEach(async () => {
  for (const tier of opened.splice(0)) await tier.close();
  rmSync(dir, { recursive: true });
});

function counted(remote: Metastore): { readonly remote: Metastore; asked(): number } {
  let asked = 0;
  const count = <Answer>(answer: Answer): Answer => (asked++, answer);
  return {
    asked: () => asked,
    remote: {
      ...remote,
      get: (keys) => count(remote.get(keys)),
      list: (directory, page) => count(remote.list(directory, page)),
    },
  };
}

const heap = () => heapMetastore({ feed: localFeed(), clock: () => now });

function open(remote: Metastore = heap(), options: { rowsMax?: number; identity?: string } = {}): Stage {
  const counting = counted(remote);
  const { rowsMax = 1000, identity = 'this one' } = options;
  const tier = hotTier({
    dir,
    remote: counting.remote,
    identity,
    clock: () => now++,
    leaseMs: LEASE_MS,
    rowsMax,
    log: (line) => expect.unreachable(line),
  });
  opened.push(tier);
  return { tier, remote, asked: counting.asked };
}

const keyOf = (name: string, directory = DIRECTORY) => ({ directory, name: name as Name });
const putIn = (remote: Metastore, name: string, row: Row) =>
  remote.commit([{ act: 'put', key: keyOf(name), when: 'any', row }]);
const namesIn = async (metastore: Metastore, limit = 1000) =>
  (await metastore.list(DIRECTORY, { limit })).map(({ name }) => name);

metastoreContract('hot tier over the heap', async () => {
  const clock = () => now;
  const remote = heapMetastore({ feed: localFeed(), clock });
  const own = mkdtempSync(join(dir, 'contract-'));
  const tier = hotTier({ dir: own, remote, identity: '', clock, leaseMs: LEASE_MS, rowsMax: 1000, log: () => {} });
  opened.push(tier);
  return { metastore: { ...remote, ...tier }, advance: (ms: number) => void (now += ms) };
});

describe('what has been read', () => {
  it('is answered without asking again, rows and their absence, until the lease ends', async () => {
    const { tier, remote, asked } = open();
    await putIn(remote, 'a', file(100, 1));
    const keys = [keyOf('a'), keyOf('none')];
    expect(await tier.get(keys)).toEqual([file(100, 1), undefined]);
    expect(await tier.get(keys)).toEqual([file(100, 1), undefined]);
    expect(asked()).toBe(1);
    await putIn(remote, 'a', file(100, 2));
    now += LEASE_MS;
    expect(await tier.get(keys)).toEqual([file(100, 2), undefined]);
    expect(asked()).toBe(2);
  });

  it('tells of a listed directory also what is not there, and lists it', async () => {
    const { tier, remote, asked } = open();
    for (const name of ['a', 'b', 'c']) await putIn(remote, name, file(name.charCodeAt(0), 1));
    await tier.get([keyOf('b'), keyOf('bb')]);
    const [a, b] = await tier.list(DIRECTORY, { limit: 2 });
    expect([a?.name, b?.name]).toEqual(['a', 'b']);
    await tier.list(DIRECTORY, { after: 'b' as Name, limit: 2 });
    const before = asked();
    expect(await namesIn(tier)).toEqual(['a', 'b', 'c']);
    expect((await tier.list(DIRECTORY, { after: 'a' as Name, limit: 1 })).map(({ name }) => name)).toEqual(['b']);
    expect(await tier.get([keyOf('never seen'), keyOf('c')])).toEqual([undefined, file(99, 1)]);
    expect(asked()).toBe(before);
  });

  it('is not taken for a whole directory when only its end was listed', async () => {
    const { tier, remote } = open();
    for (const name of ['a', 'b']) await putIn(remote, name, file(name.charCodeAt(0), 1));
    await tier.list(DIRECTORY, { after: 'a' as Name, limit: 5 });
    expect(await tier.get([keyOf('a')])).toEqual([file(97, 1)]);
    expect(await namesIn(tier)).toEqual(['a', 'b']);
  });

  it('goes for special directories to the remote store each time', async () => {
    const { tier, asked } = open();
    await tier.get([{ directory: MOUNTS, name: 'm' as Name }]);
    await tier.get([{ directory: MOUNTS, name: 'm' as Name }]);
    await tier.list(MOUNTS, { limit: 1 });
    await tier.list(MOUNTS, { limit: 1 });
    expect(asked()).toBe(4);
  });
});

describe('what the feed tells', () => {
  it('replaces a row by its next version, and makes known what it cannot be sure of unknown', async () => {
    const { tier, remote, asked } = open();
    for (const name of ['a', 'b']) await putIn(remote, name, file(name.charCodeAt(0), 1));
    await namesIn(tier);
    await putIn(remote, 'a', file(97, 2));
    await putIn(remote, 'c', file(99, 1));
    await remote.commit([{ act: 'remove', key: keyOf('b'), when: 'any' }]);
    const before = asked();
    tier.apply([{ key: keyOf('a'), after: file(97, 2) }]);
    expect(await tier.get([keyOf('a')])).toEqual([file(97, 2)]);
    expect(asked()).toBe(before);
    tier.apply([
      { key: keyOf('c'), after: file(99, 1) },
      { key: keyOf('b'), after: undefined },
    ]);
    expect(await namesIn(tier)).toEqual(['a', 'c']);
    expect(asked()).toBe(before + 1);
    expect(await namesIn(tier)).toEqual(['a', 'c']);
    expect(asked()).toBe(before + 1);
  });

  it('comes late, and does not bring back what was before', async () => {
    const { tier, remote } = open();
    await putIn(remote, 'a', file(97, 3));
    await tier.get([keyOf('a'), keyOf('gone')]);
    tier.apply([
      { key: keyOf('a'), after: file(97, 2) },
      { key: keyOf('gone'), after: file(5, 1) },
    ]);
    expect(await tier.get([keyOf('a'), keyOf('gone')])).toEqual([file(97, 3), undefined]);
  });

  it('does not take a half of a row for the row', async () => {
    const { tier, remote } = open();
    await putIn(remote, 'a', file(97, 1));
    await tier.get([keyOf('a')]);
    const whole = { ...file(97, 2), xattrs: { 'user.long': 'x'.repeat(1000) } };
    await putIn(remote, 'a', whole);
    tier.apply([{ key: keyOf('a'), after: file(97, 2), isCut: true }]);
    expect(await tier.get([keyOf('a')])).toEqual([whole]);
  });

  it('is lost, and then nothing that was known counts', async () => {
    const { tier, remote } = open();
    await putIn(remote, 'a', file(97, 1));
    await namesIn(tier);
    await putIn(remote, 'a', file(97, 2));
    tier.clear();
    expect(await tier.get([keyOf('a')])).toEqual([file(97, 2)]);
    expect(await namesIn(tier)).toEqual(['a']);
  });
});

describe('an answer on its way', () => {
  it.each(['apply', 'forget', 'clear'] as const)('is not kept when there was a change meanwhile: %s', async (how) => {
    const remote = heap();
    const { promise: late, resolve: go } = Promise.withResolvers<void>();
    let isLate = true;
    const slow: Metastore = {
      ...remote,
      async get(keys) {
        const rows = await remote.get(keys);
        if (isLate) await late;
        return rows;
      },
    };
    const { tier } = open(slow);
    await putIn(remote, 'a', file(97, 1));
    const old = tier.get([keyOf('a')]);
    isLate = false;
    await putIn(remote, 'a', file(97, 2));
    if (how === 'apply') tier.apply([{ key: keyOf('a'), after: file(97, 2) }]);
    else if (how === 'forget') tier.forget([keyOf('a')]);
    else tier.clear();
    go();
    expect(await old).toEqual([file(97, 1)]);
    expect(await tier.get([keyOf('a')])).toEqual([file(97, 2)]);
  });

  it('is not kept over that to a later question', async () => {
    const remote = heap();
    const waiting: (() => void)[] = [];
    const { tier, asked } = open({
      ...remote,
      async get(keys) {
        const rows = await remote.get(keys);
        await new Promise<void>((resolve) => waiting.push(resolve));
        return rows;
      },
    });
    await putIn(remote, 'a', file(97, 1));
    const first = tier.get([keyOf('a')]);
    await putIn(remote, 'a', file(97, 2));
    const second = tier.get([keyOf('a')]);
    await expect.poll(() => waiting.length).toBe(2);
    waiting[1]?.();
    expect(await second).toEqual([file(97, 2)]);
    waiting[0]?.();
    expect(await first).toEqual([file(97, 1)]);
    expect(await tier.get([keyOf('a')])).toEqual([file(97, 2)]);
    expect(asked()).toBe(2);
  });

  it('of a page takes away what it has not', async () => {
    const { tier, remote, asked } = open();
    for (const name of ['a', 'b', 'c']) await putIn(remote, name, file(name.charCodeAt(0), 1));
    await tier.get([keyOf('b')]);
    await remote.commit([{ act: 'remove', key: keyOf('b'), when: 'any' }]);
    expect(await namesIn(tier)).toEqual(['a', 'c']);
    const before = asked();
    expect(await namesIn(tier)).toEqual(['a', 'c']);
    expect(await tier.get([keyOf('b')])).toEqual([undefined]);
    expect(asked()).toBe(before);
  });

  it('of a page leaves out what changed meanwhile, and the directory is known all the same', async () => {
    const remote = heap();
    let inBetween = () => {};
    const { tier, asked } = open({
      ...remote,
      async list(directory, page) {
        const rows = await remote.list(directory, page);
        inBetween();
        return rows;
      },
    });
    await putIn(remote, 'a', file(97, 1));
    inBetween = () => {
      inBetween = () => {};
      void remote.commit([{ act: 'remove', key: keyOf('a'), when: 'any' }]);
      void putIn(remote, 'b', file(98, 1));
      tier.apply([
        { key: keyOf('a'), after: undefined },
        { key: keyOf('b'), after: file(98, 1) },
      ]);
    };
    await namesIn(tier);
    const before = asked();
    expect(await namesIn(tier)).toEqual(['b']);
    expect(await tier.get([keyOf('zz')])).toEqual([undefined]);
    expect(asked()).toBe(before + 1);
  });
});

describe('the file', () => {
  it('stays within its limit, whatever is read, and a directory that lost rows is not whole any more', async () => {
    const { tier, remote } = open(heap(), { rowsMax: 500 });
    await namesIn(tier);
    for (let i = 0; i < 40; i++) {
      const directory = (String.fromCharCode(0x80 + i) + '-a directory-').padEnd(16) as InodeId;
      for (let at = 0; at < 100; at++) await tier.get([{ directory, name: `f${at}` as Name }]);
    }
    const rows = openHotRows(tier.rowsFile, { leaseMs: 1e12, clock: () => now });
    let known = 0;
    for (let i = 0; i < 40; i++) {
      const directory = (String.fromCharCode(0x80 + i) + '-a directory-').padEnd(16) as InodeId;
      for (let at = 0; at < 100; at++) if (rows.isAbsent(directory, `f${at}`)) known++;
    }
    rows.close();
    expect(known).toBeGreaterThan(0);
    expect(known).toBeLessThanOrEqual(500 + 500 / 8);
    await putIn(remote, 'a', file(97, 1));
    now += LEASE_MS + 1;
    expect(await namesIn(tier)).toEqual(['a']);
  });

  it('is believed after a restart only once the caller says that the feed has caught up', async () => {
    const first = open();
    await putIn(first.remote, 'a', file(97, 1));
    await namesIn(first.tier);
    await first.tier.close();
    const second = open(first.remote);
    await second.tier.get([keyOf('b')]);
    expect(second.asked()).toBe(1);
    second.tier.believe();
    expect(await namesIn(second.tier)).toEqual(['a']);
    expect(second.asked()).toBe(1);
    await second.tier.close();
    const third = open(first.remote);
    third.tier.clear();
    third.tier.believe();
    expect(await namesIn(third.tier)).toEqual(['a']);
    expect(third.asked()).toBe(1);
  });

  it.each([
    ['is of another namespace', () => {}, 'another one'],
    ['holds no rows', (at: string) => writeFileSync(at, Buffer.alloc(100_000, 7)), 'this one'],
    ['was cut short', (at: string) => truncateSync(at, 3 * 4096), 'this one'],
    ['is empty', (at: string) => truncateSync(at, 0), 'this one'],
  ])('starts anew when it %s', async (_, harm, identity) => {
    const first = open();
    for (let i = 0; i < 500; i++) await putIn(first.remote, `file ${i}`, file(i, 1));
    await namesIn(first.tier);
    await first.tier.close();
    harm(first.tier.rowsFile);
    const second = open(first.remote, { identity });
    second.tier.believe();
    expect(await second.tier.get([keyOf('file 7')])).toEqual([file(7, 1)]);
    expect(second.asked()).toBe(1);
    expect(readFileSync(second.tier.rowsFile).length).toBeGreaterThan(0);
  });
});

describe('another thread', () => {
  it('reads what is fresh, and is told of each write', async () => {
    const { tier, remote } = open();
    const rows = openHotRows(tier.rowsFile, { leaseMs: LEASE_MS, clock: () => now });
    tier.onWritten(() => rows.refresh());
    expect([rows.get(DIRECTORY, 'a'), rows.isAbsent(DIRECTORY, 'a')]).toEqual([undefined, false]);
    expect(rows.list(DIRECTORY, '', 10)).toBeUndefined();
    await putIn(remote, 'a', file(97, 1));
    await namesIn(tier);
    const read = rows.get(DIRECTORY, 'a');
    expect(read && decodeRow(read)).toEqual(file(97, 1));
    expect(rows.leftMs).toBeGreaterThan(0);
    expect(rows.leftMs).toBeLessThanOrEqual(LEASE_MS);
    expect(rows.isAbsent(DIRECTORY, 'b')).toBe(true);
    expect(rows.isAbsent(OTHER, 'b')).toBe(false);
    expect(rows.list(DIRECTORY, '', 10)?.map(({ name }) => name)).toEqual(['a']);
    tier.forget([keyOf('a')]);
    expect([rows.get(DIRECTORY, 'a'), rows.isAbsent(DIRECTORY, 'a')]).toEqual([undefined, false]);
    expect(rows.list(DIRECTORY, '', 10)).toBeUndefined();
    await namesIn(tier);
    expect(rows.list(DIRECTORY, '', 10)).toHaveLength(1);
    now += LEASE_MS + 1;
    expect([rows.get(DIRECTORY, 'a'), rows.isAbsent(DIRECTORY, 'b'), rows.leftMs]).toEqual([undefined, false, 0]);
    rows.close();
  });
});
