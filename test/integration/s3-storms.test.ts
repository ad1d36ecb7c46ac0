import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fingerprint, StoreKey } from '#shared/model/inode.ts';
import type { ByteRange, ReadOptions, UnderStore } from '#shared/ports/under-store.ts';
import { s3UnderStore } from '#shared/under-stores/s3.ts';
import { BUCKET, type FaultyS3, startFaultyS3 } from '../support/faulty-s3.ts';

const CREDENTIALS = { 's3.access-key-id': 'key', 's3.secret-access-key': 'secret' };
const A = 'a' as StoreKey;
const WHOLE: ByteRange = { offset: 0, length: 1 << 30 };
const body = randomBytes(600_000);

let server: FaultyS3;
const stores: UnderStore[] = [];

beforeEach(async () => {
  server = await startFaultyS3();
  server.put('a', body);
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await server.stop();
});

function open(options: Record<string, string> = {}): UnderStore {
  const all = { 's3.endpoint': server.endpoint, ...CREDENTIALS, ...options };
  const store = s3UnderStore({ uri: `s3://${BUCKET}`, options: all });
  stores.push(store);
  return store;
}

async function get(store: UnderStore, range = WHOLE, options?: ReadOptions): Promise<Buffer> {
  const got: Buffer[] = [];
  await store.read(A, range, (bytes) => got.push(Buffer.from(bytes)), options);
  return Buffer.concat(got);
}

/** A matcher would print 600,000 bytes. */
const isBody = (got: Buffer, part = body): boolean => got.equals(part);

describe('a body that breaks', () => {
  it.each(['reset', 'end'] as const)('goes on where it stopped, after a %s', async (ending) => {
    server.strike = ({ number }) => (number <= 5 ? { after: 70_001 * number, ending } : undefined);
    const range = { offset: 1000, length: 500_000 };
    expect(isBody(await get(open(), range), body.subarray(1000, 501_000))).toBe(true);
    const ranges = server.asked.map(({ headers }) => Number(/(\d+)-/.exec(headers.range ?? '')?.[1]));
    expect(ranges).toEqual(ranges.toSorted((a, b) => a - b));
    // Every byte that came was kept: only what was missing was asked for again.
    expect(ranges.at(-1)).toBeGreaterThan(1000);
    expect(new Set(server.asked.slice(1).map(({ headers }) => headers['if-match'])).size).toBe(1);
  });

  it('never goes on with another version of the same size', async () => {
    const other = randomBytes(body.length);
    server.strike = ({ number }) => {
      if (number > 1) server.put('a', other);
      return number === 1 ? { after: 100_000, ending: 'reset' } : undefined;
    };
    const got: Buffer[] = [];
    const read = open().read(A, WHOLE, (bytes) => got.push(Buffer.from(bytes)));
    await expect(read).rejects.toMatchObject({
      kind: 'changed',
      message: expect.stringContaining('s3://faulty/a') as unknown,
    });
    const before = Buffer.concat(got);
    expect(isBody(before, body.subarray(0, before.length))).toBe(true);
  });

  it('is the version that was asked for from its first byte', async () => {
    const fingerprint = '0'.repeat(32) as Fingerprint;
    await expect(get(open(), WHOLE, { fingerprint })).rejects.toMatchObject({ kind: 'changed' });
    expect(server.asked).toHaveLength(1);
  });

  it('may come in chunks', async () => {
    server.strike = () => 'chunked';
    const store = open();
    expect(isBody(await get(store))).toBe(true);
    expect(isBody(await get(store, { offset: 7, length: 100_000 }), body.subarray(7, 100_007))).toBe(true);
    expect(server.connections()).toBe(1);
  });
});

describe('a storm', () => {
  it('of 503s is ridden out by many readers at once, and by listings', async () => {
    let weather = 0;
    // Seven of ten answers, in an order that no reader can fall into step with.
    server.strike = () =>
      (weather = (weather * 1103515245 + 12345) & 0x7fffffff) % 10 < 7 ? { status: 503, code: 'SlowDown' } : undefined;
    const store = open();
    const reads = Array.from({ length: 24 }, (_, i) => get(store, { offset: i * 1000, length: 1000 }));
    const lists = Array.from({ length: 8 }, () => store.list('' as StoreKey));
    for (const [i, got] of (await Promise.all(reads)).entries()) {
      expect(isBody(got, body.subarray(i * 1000, (i + 1) * 1000))).toBe(true);
    }
    for (const page of await Promise.all(lists)) expect(page.entries).toHaveLength(1);
  });

  it.each([500, 502, 429])('may be made of %i', async (status) => {
    server.strike = ({ number }) => (number <= 3 ? { status } : undefined);
    expect(isBody(await get(open()))).toBe(true);
  });

  it('that does not end is told, with what was tried', async () => {
    server.strike = () => ({ status: 503, code: 'SlowDown' });
    const store = open({ 's3.busy-patience': '200' });
    const message = expect.stringMatching(
      /^s3:\/\/faulty\/a: read failed \(tried \d+ times\): .*503 SlowDown/,
    ) as unknown;
    await expect(get(store)).rejects.toMatchObject({ kind: 'unavailable', message });
    await expect(store.list('' as StoreKey)).rejects.toMatchObject({ kind: 'unavailable' });
    expect(server.asked.length).toBeLessThan(60);
  });

  it('is told from a refusal, which nobody tries again', async () => {
    server.strike = () => ({ status: 403, code: 'AccessDenied' });
    await expect(get(open())).rejects.toMatchObject({ kind: 'denied' });
    expect(server.asked).toHaveLength(1);
    server.strike = () => ({ status: 301, code: 'PermanentRedirect', headers: { 'x-amz-bucket-region': 'eu-west-9' } });
    const message = expect.stringContaining('s3.region=eu-west-9') as unknown;
    await expect(get(open())).rejects.toMatchObject({ kind: 'invalid', message });
    await expect(open().list('' as StoreKey)).rejects.toMatchObject({ kind: 'invalid', message });
  });
});

describe('an outage', () => {
  it('is told as unavailable, never as absence, and heals', async () => {
    const store = open({ 's3.outage-patience': '200' });
    server.strike = () => 'reset';
    const message = expect.stringMatching(/^s3:\/\/faulty\/a: read failed \(tried \d+ times\)/) as unknown;
    await expect(get(store)).rejects.toMatchObject({ kind: 'unavailable', message });
    await expect(store.stat(A)).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(store.list('' as StoreKey)).rejects.toMatchObject({ kind: 'unavailable' });
    server.strike = () => undefined;
    expect(isBody(await get(store))).toBe(true);
  });

  it('is told when nobody listens', async () => {
    const port = server.port;
    await server.stop();
    const store = open({ 's3.endpoint': `http://127.0.0.1:${port}`, 's3.outage-patience': '100' });
    await expect(get(store)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('ECONNREFUSED') as unknown,
    });
    await expect(store.list('' as StoreKey)).rejects.toMatchObject({ kind: 'unavailable' });
    server = await startFaultyS3();
  });

  it.each([
    ['before its answer', 'hang'],
    ['within a body', { after: 5, ending: 'hang' }],
  ] as const)('of a server that hangs %s ends, also for those who wait for a connection', async (_, strike) => {
    server.strike = () => strike;
    const store = open({ 's3.request-timeout': '150', 's3.outage-patience': '100', 's3.connections': '2' });
    const reads = Array.from({ length: 10 }, () => get(store));
    for (const read of await Promise.allSettled(reads)) {
      expect(read).toMatchObject({ status: 'rejected', reason: { kind: 'unavailable' } });
    }
    server.strike = () => undefined;
    expect(isBody(await get(store))).toBe(true);
  });
});

it('tells of a listing that hangs, too', async () => {
  server.strike = () => 'hang';
  const store = open({ 's3.request-timeout': '100', 's3.outage-patience': '0' });
  await expect(store.list('' as StoreKey)).rejects.toMatchObject({ kind: 'unavailable' });
});

describe('a connection', () => {
  it('is used again and again, and there are no more than allowed', async () => {
    const store = open({ 's3.connections': '3' });
    for (let round = 0; round < 3; round++) await Promise.all(Array.from({ length: 20 }, () => get(store)));
    expect(server.connections()).toBeLessThanOrEqual(3);
    expect(server.asked).toHaveLength(60);
  });

  it('that a server closes after each answer is made anew, without a try that failed', async () => {
    server.strike = () => 'close';
    const store = open();
    for (let round = 0; round < 5; round++) expect(isBody(await get(store))).toBe(true);
    expect(server.asked).toHaveLength(5);
  });

  it('that the server dropped while it was idle costs the reader nothing', async () => {
    const store = open({ 's3.outage-patience': '0' });
    for (let round = 0; round < 5; round++) {
      expect(isBody(await get(store))).toBe(true);
      server.dropConnections();
    }
  });

  it('is given up at once when its reader is, and so is a place in the line', async () => {
    server.strike = () => ({ after: 1000, ending: 'hang' });
    const store = open({ 's3.connections': '1' });
    const controller = new AbortController();
    const reading = get(store, WHOLE, { signal: controller.signal });
    const waiting = get(store, WHOLE, { signal: controller.signal });
    while (server.asked.length < 1) await sleep(5);
    controller.abort();
    await expect(reading).rejects.toMatchObject({ kind: 'interrupted' });
    await expect(waiting).rejects.toMatchObject({ kind: 'interrupted' });
    server.strike = () => undefined;
    expect(isBody(await get(store))).toBe(true);
  });

  it('is not waited for by a reader that is aborted between tries', async () => {
    server.strike = () => ({ status: 503, code: 'SlowDown' });
    const controller = new AbortController();
    const reading = get(open(), WHOLE, { signal: controller.signal });
    while (server.asked.length < 3) await sleep(5);
    controller.abort();
    await expect(reading).rejects.toMatchObject({ kind: 'interrupted' });
  });
});

it('follows the clock of the server when its own is wrong', async () => {
  const behind = 3_600_000;
  server.strike = ({ number }) =>
    number === 1
      ? { status: 403, code: 'RequestTimeTooSkewed', headers: { Date: new Date(Date.now() - behind).toUTCString() } }
      : undefined;
  expect(isBody(await get(open()))).toBe(true);
  const [first, second] = server.asked.map(({ headers }) => String(headers['x-amz-date']).slice(0, 11));
  expect(second).not.toBe(first);
});
