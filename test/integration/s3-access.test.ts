import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { openUnderStore } from '#shared/under-stores/open.ts';
import { BUCKET, type FaultyS3, startFaultyS3 } from '../support/faulty-s3.ts';
import { S3_ENGINES, type S3Server, startS3Server } from '../support/s3-server.ts';
import { get, key, pieces, put } from '../support/store-engine.ts';

const stores: UnderStore[] = [];

function open(uri: string, options: Record<string, string>): UnderStore {
  const store = openUnderStore({ uri, options });
  stores.push(store);
  return store;
}

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const store of stores.splice(0)) await store.close();
});

describe.each(S3_ENGINES)('a bucket on %s', (engine) => {
  let server: S3Server | undefined;
  let bucket = '';
  beforeAll(async () => {
    server = await startS3Server(engine);
    bucket = await server.newBucket();
  });
  afterAll(() => server?.stop());
  const options = () => server?.options ?? {};

  it('refuses a stranger with denied, never with absence', async () => {
    const strange = { ...options(), 's3.access-key-id': 'STRANGER', 's3.secret-access-key': 'wrong' };
    const store = open(`s3://${bucket}`, strange);
    const denied = { kind: 'denied', message: expect.stringContaining('check the credentials') as unknown };
    await expect(store.list(key(''))).rejects.toMatchObject(denied);
    await expect(store.stat(key('a'))).rejects.toMatchObject({ kind: 'denied' });
    await expect(get(store, 'a')).rejects.toMatchObject(denied);
    await expect(put(store, 'a')).rejects.toMatchObject(denied);
  });

  it('that is not there is unavailable, never empty', async () => {
    const store = open('s3://no-such-bucket-here', options());
    const missing = { kind: 'unavailable', message: expect.stringContaining('no such bucket') as unknown };
    await expect(store.list(key(''))).rejects.toMatchObject(missing);
    await expect(store.stat(key('a'))).rejects.toMatchObject(missing);
    await expect(get(store, 'a')).rejects.toMatchObject(missing);
    await expect(put(store, 'a')).rejects.toMatchObject(missing);
  });

  it('is used whole, and by what the environment names', async () => {
    for (const [name, value] of Object.entries(server?.env ?? {})) vi.stubEnv(name, value);
    vi.stubEnv('AWS_ENDPOINT_URL_S3', server?.endpoint);
    const store = open(`s3://${bucket}`, {});
    await put(store, 'whole/ü', 'bytes');
    expect(await get(store, 'whole/ü')).toBe('bytes');
    expect(await store.stat(key('whole'))).toMatchObject({ kind: 'directory' });
    expect((await store.list(key(''))).entries).toMatchObject([{ key: 'whole', kind: 'directory' }]);
  });

  it('holds attributes as DataSync and FSx write them, and understands s3fs and rclone', async () => {
    const store = open(`s3://${bucket}/attributes`, options());
    const attributes = { mode: 0o640, uid: 1000, gid: 100, mtime: 1_600_000_000_123_456_789n };
    await store.write(key('ours'), pieces('x'), { attributes });
    const head = await server?.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'attributes/ours' }));
    expect(head?.Metadata).toEqual({
      'file-permissions': '0100640',
      'file-owner': '1000',
      'file-group': '100',
      'file-mtime': '1600000000123456789ns',
    });
    const theirs = { mode: '33188', uid: '5', gid: '6', mtime: '1600000000.5' };
    const object = { Bucket: bucket, Key: 'attributes/theirs', Body: Buffer.from('x'), Metadata: theirs };
    await server?.client.send(new PutObjectCommand(object));
    expect(await store.stat(key('theirs'))).toMatchObject({
      mode: 0o644,
      uid: 5,
      gid: 6,
      mtime: 1_600_000_000_500_000_000n,
    });
  });

  it('keeps a symlink as an object that holds its target', async () => {
    const store = open(`s3://${bucket}/links`, { ...options(), 's3.attributes': 'head' });
    await store.makeSymlink(key('link'), key('../ü'));
    await put(store, 'file', 'x', { attributes: { mode: 0o600 } });
    const object = await server?.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'links/link' }));
    expect(await object?.Body?.transformToString()).toBe('../ü');
    expect(object?.Metadata).toMatchObject({ 'file-permissions': '0120777' });
    expect((await store.list(key(''))).entries).toMatchObject([
      { key: 'file', kind: 'file', mode: 0o600 },
      { key: 'link', kind: 'symlink', target: key('../ü') },
    ]);
  });
});

describe('requests', () => {
  let server: FaultyS3;
  beforeAll(async () => {
    server = await startFaultyS3();
    server.put('a', Buffer.from('x'));
  });
  afterAll(() => server.stop());
  const credentials = { 's3.access-key-id': 'key', 's3.secret-access-key': 'secret' };

  async function headersOf(options: Record<string, string>) {
    const store = open(`s3://${BUCKET}`, { 's3.endpoint': server.endpoint, ...options });
    const before = server.asked.length;
    await get(store, 'a');
    await store.list(key(''));
    await put(store, 'a').catch(() => undefined); // this server takes no objects, it only writes requests down
    return server.asked.slice(before).map(({ headers }) => headers);
  }

  it('are not signed for the anonymous', async () => {
    for (const headers of await headersOf({ 's3.anonymous': 'true' }))
      expect(headers).not.toHaveProperty('authorization');
  });

  it('all say that the requester pays', async () => {
    const asked = await headersOf({ ...credentials, 's3.requester-pays': 'true' });
    expect(asked.map((headers) => headers['x-amz-request-payer'])).toEqual(asked.map(() => 'requester'));
  });

  it('that write say how to encrypt', async () => {
    const asked = await headersOf({ ...credentials, 's3.sse': 'aws:kms', 's3.sse-kms-key-id': 'my-key' });
    const encrypted = asked.filter((headers) => headers['x-amz-server-side-encryption'] === 'aws:kms');
    expect(encrypted.length).toBeGreaterThan(0);
    expect(encrypted[0]).toMatchObject({ 'x-amz-server-side-encryption-aws-kms-key-id': 'my-key' });
  });

  it('carry the token of temporary credentials, and name the region', async () => {
    const options = { ...credentials, 's3.session-token': 'token', 's3.region': 'eu-north-7' };
    for (const headers of await headersOf(options)) {
      expect(headers['x-amz-security-token']).toBe('token');
      expect(headers.authorization).toContain('/eu-north-7/s3/aws4_request');
    }
  });

  it('go to a host of the bucket without path style', async () => {
    const store = open('s3://faulty', {
      ...credentials,
      's3.endpoint': `http://localhost:${server.port}`,
      's3.path-style': 'false',
      's3.outage-patience': '0',
    });
    const before = server.asked.length;
    await expect(get(store, 'a')).rejects.toMatchObject({ message: expect.stringMatching(/./) as unknown });
    const hosts = server.asked.slice(before).map(({ headers }) => headers.host);
    expect(new Set([...hosts, `faulty.localhost:${server.port}`]).size).toBe(1);
  });

  it('are not sent without credentials, and the reader says what to set', async () => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent');
    vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
    const store = open(`s3://${BUCKET}`, { 's3.endpoint': server.endpoint });
    const before = server.asked.length;
    const denied = { kind: 'denied', message: expect.stringContaining('s3.anonymous=true') as unknown };
    await expect(get(store, 'a')).rejects.toMatchObject(denied);
    await expect(store.list(key(''))).rejects.toMatchObject(denied);
    expect(server.asked).toHaveLength(before);
  });
});
