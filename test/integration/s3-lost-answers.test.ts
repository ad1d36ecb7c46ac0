import type { IncomingMessage } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Fingerprint } from '#shared/model/inode.ts';
import { partRange } from '#shared/ports/object-parts.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { s3UnderStore } from '#shared/under-stores/s3.ts';
import { type Relay, startRelay } from '../support/relay.ts';
import { S3_ENGINES, type S3Server, startS3Server } from '../support/s3-server.ts';
import { get, key, put } from '../support/store-engine.ts';

const MIB = 1 << 20;

async function* large(): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < 20; i++) yield Buffer.alloc(MIB, i);
}

async function* firstBytes(pieces: AsyncIterable<Uint8Array>, length: number): AsyncGenerator<Uint8Array> {
  let left = length;
  for await (const piece of pieces) {
    if (left <= 0) return;
    yield piece.subarray(0, left);
    left -= piece.length;
  }
}

/** Once, of the requests that `isMeant` picks. */
function once<Result>(result: Result, isMeant: (request: IncomingMessage) => boolean) {
  let isDone = false;
  return (request: IncomingMessage): Result | undefined => {
    if (isDone || !isMeant(request)) return undefined;
    isDone = true;
    return result;
  };
}

describe.each(S3_ENGINES)('on the way to %s', (engine) => {
  let server: S3Server | undefined;
  let relay: Relay;
  let store: UnderStore;
  let bucket = '';
  beforeAll(async () => {
    server = await startS3Server(engine);
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    bucket = (await server?.newBucket()) ?? '';
    relay = await startRelay(server?.endpoint ?? '');
    const options = { ...server?.options, 's3.endpoint': relay.endpoint, 's3.busy-patience': '2000' };
    store = s3UnderStore({ uri: `s3://${bucket}`, options });
  });
  afterEach(async () => {
    await store.close();
    await relay.stop();
  });

  it('the answer to a conditional write is lost: its second try finds its own object', async () => {
    relay.mischief = once('lose-answer' as const, ({ method }) => method === 'PUT');
    const first = await put(store, 'a', 'one', { when: 'absent' });
    expect(await store.stat(key('a'))).toEqual(first);
    relay.mischief = once('lose-answer' as const, ({ method }) => method === 'PUT');
    const second = await put(store, 'a', 'two', { when: first.fingerprint as Fingerprint });
    expect(await store.stat(key('a'))).toEqual(second);
    expect(await get(store, 'a')).toBe('two');
  });

  it('the answer to the end of a large upload is lost: its second try finds its own object', async () => {
    relay.mischief = once('lose-answer' as const, ({ method, url }) => method === 'POST' && /uploadId/.test(url ?? ''));
    const written = await store.write(key('large'), large(), { when: 'absent' }).catch((error: unknown) => error);
    // s3rver answers 500 for ever to whoever ends an upload twice.
    expect(written).toMatchObject(engine === 's3rver' ? { kind: 'unavailable' } : { size: 20 * MIB });
    expect(await get(store, 'large', { offset: 19 * MIB, length: 1 })).toBe('\x13');
  });

  it('a part of a large upload breaks or meets a storm, and is sent again', async () => {
    const lost = once('lose-answer' as const, ({ url }) => /partNumber=2/.test(url ?? ''));
    const busy = once({ status: 503, code: 'SlowDown' }, ({ url }) => /partNumber=1/.test(url ?? ''));
    relay.mischief = (request) => lost(request) ?? busy(request);
    expect(await store.write(key('large'), large())).toMatchObject({ size: 20 * MIB });
    expect(await get(store, 'large', { offset: 8 * MIB, length: 1 })).toBe('\x08');
  });

  it('answers to an upload in parts are lost: pieces are made anew, and its end finds its own object', async () => {
    const isOf = (part: number) => (request: IncomingMessage) => request.url?.includes(`partNumber=${part}`) ?? false;
    const [lost, busy] = [once('lose-answer' as const, isOf(1)), once({ status: 503, code: 'SlowDown' }, isOf(2))];
    const isEnd = ({ method, url }: IncomingMessage) => method === 'POST' && /uploadId/.test(url ?? '');
    const end = engine === 's3rver' ? () => undefined : once('lose-answer' as const, isEnd);
    relay.mischief = (request) => lost(request) ?? busy(request) ?? end(request);
    const upload = await store.upload(key('large'));
    const { length } = partRange(1);
    let made = 0;
    const pieces = () => {
      made++;
      return large();
    };
    await Promise.all([1, 2].map((part) => upload.put(part, { length, pieces: () => firstBytes(pieces(), length) })));
    expect(await upload.finish({ size: 2 * length, when: 'absent' })).toMatchObject({ size: 2 * length });
    expect(made).toBe(4);
    expect(await get(store, 'large', { offset: length + 7 * MIB, length: 1 })).toBe('\x07');
  });

  it('a large upload that fails for good leaves no parts behind', async () => {
    relay.mischief = ({ url }) => (/partNumber=2/.test(url ?? '') ? { status: 403, code: 'AccessDenied' } : undefined);
    await expect(store.write(key('large'), large())).rejects.toMatchObject({ kind: 'denied' });
    expect(relay.asked.filter((one) => /^DELETE .*uploadId/.test(one))).toHaveLength(1);
    expect(await store.stat(key('large'))).toBeUndefined();
  });

  it('a copy is refused as too large, and is made in parts with what is known of it', async () => {
    const attributes = { mode: 0o640, uid: 5, gid: 6, mtime: 1_600_000_000_000_000_000n };
    await put(store, 'a', 'bytes', { attributes });
    relay.mischief = once({ status: 400, code: 'InvalidRequest' }, ({ headers }) => 'x-amz-copy-source' in headers);
    expect(await store.copy(key('a'), key('d/ü b'))).toMatchObject({ size: 5, ...attributes });
    expect(await get(store, 'd/ü b')).toBe('bytes');
    expect(relay.asked.some((one) => /partNumber=1/.test(one))).toBe(true);
  });
});
