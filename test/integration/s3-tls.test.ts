import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { StoreKey } from '#shared/model/inode.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { s3UnderStore } from '#shared/under-stores/s3.ts';
import { newAuthority } from '../support/certificate.ts';
import { BUCKET, type FaultyS3, startFaultyS3 } from '../support/faulty-s3.ts';
import { type LoopbackProxy, startProxy } from '../support/loopback-proxy.ts';

const body = randomBytes(300_000);
const folder = mkdtempSync(join(tmpdir(), 'leat-tls-'));
const caFile = join(folder, 'ca.pem');
const otherCaFile = join(folder, 'other.pem');
const stores: UnderStore[] = [];
let plain: FaultyS3;
let secure: FaultyS3;
let misnamed: FaultyS3;
const proxies: LoopbackProxy[] = [];

beforeAll(async () => {
  const authority = newAuthority('Leat test authority');
  writeFileSync(caFile, authority.cert);
  writeFileSync(otherCaFile, newAuthority('Another authority').cert);
  plain = await startFaultyS3();
  secure = await startFaultyS3(authority.issue(['127.0.0.1', 'localhost']));
  misnamed = await startFaultyS3(authority.issue(['elsewhere.example']));
  for (const server of [plain, secure, misnamed]) server.put('a', body);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const store of stores.splice(0)) await store.close();
  for (const proxy of proxies.splice(0)) await proxy.stop();
});
afterAll(async () => {
  for (const server of [plain, secure, misnamed]) await server.stop();
  rmSync(folder, { recursive: true });
});

function open(server: FaultyS3, options: Record<string, string> = {}): UnderStore {
  const all = {
    's3.endpoint': server.endpoint,
    's3.access-key-id': 'key',
    's3.secret-access-key': 'secret',
    ...options,
  };
  const store = s3UnderStore({ uri: `s3://${BUCKET}`, options: all });
  stores.push(store);
  return store;
}

/** By the reader's own connections, and by those of the SDK. */
async function both(store: UnderStore): Promise<readonly [isBody: boolean, keys: readonly string[]]> {
  const got: Buffer[] = [];
  await store.read('a' as StoreKey, { offset: 0, length: 1 << 20 }, (bytes) => got.push(Buffer.from(bytes)));
  return [Buffer.concat(got).equals(body), (await store.list('' as StoreKey)).entries.map(({ key }) => key)];
}

const RIGHT = [true, ['a']];

const read = (store: UnderStore) => store.read('a' as StoreKey, { offset: 0, length: 1 }, () => {});

async function proxied(names: readonly string[], user?: string): Promise<LoopbackProxy> {
  const proxy = await startProxy(user);
  proxies.push(proxy);
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'])
    vi.stubEnv(name, names.includes(name) ? proxy.url : undefined);
  return proxy;
}

it('speaks TLS to a server whose authority is named, and keeps the connection', async () => {
  const before = secure.connections();
  const store = open(secure, { 's3.ca-file': caFile });
  for (let round = 0; round < 4; round++) expect(await both(store)).toEqual(RIGHT);
  expect(secure.connections() - before).toBe(2);
});

it('makes connections anew where the server closes each', async () => {
  secure.strike = () => 'close';
  const store = open(secure, { 's3.ca-file': caFile });
  for (let round = 0; round < 4; round++) expect(await both(store)).toEqual(RIGHT);
  secure.strike = () => undefined;
});

it.each([
  ['an authority that nobody named', () => open(secure)],
  ['the wrong authority', () => open(secure, { 's3.ca-file': otherCaFile })],
  ['a certificate for another host', () => open(misnamed, { 's3.ca-file': caFile })],
])('refuses %s at once, and says why', async (_, store) => {
  const asked = secure.asked.length + misnamed.asked.length;
  const refusal = {
    kind: 'unavailable',
    message: expect.stringMatching(/certificate is not trusted \([A-Z_]+\).*s3\.ca-file/) as unknown,
  };
  await expect(read(store())).rejects.toMatchObject(refusal);
  await expect(store().list('' as StoreKey)).rejects.toMatchObject(refusal);
  expect(secure.asked.length + misnamed.asked.length).toBe(asked);
});

it('says which file of authorities cannot be read', () => {
  expect(() => open(secure, { 's3.ca-file': join(folder, 'none.pem') })).toThrow(/s3\.ca-file=.*none\.pem/);
});

it.each(['HTTP_PROXY', 'http_proxy'])('goes through the proxy that %s names', async (name) => {
  const proxy = await proxied([name]);
  expect(await both(open(plain))).toEqual(RIGHT);
  expect(proxy.asked.length).toBeGreaterThanOrEqual(2);
});

it('goes through a tunnel to a TLS server', async () => {
  const proxy = await proxied(['HTTPS_PROXY']);
  expect(await both(open(secure, { 's3.ca-file': caFile }))).toEqual(RIGHT);
  const tunnels = proxy.asked.filter((one) => one === `CONNECT 127.0.0.1:${secure.port}`);
  expect(tunnels).toHaveLength(2);
});

it('tells the proxy who it is', async () => {
  await proxied(['HTTP_PROXY', 'HTTPS_PROXY'], 'some:one');
  expect(await both(open(plain))).toEqual(RIGHT);
  expect(await both(open(secure, { 's3.ca-file': caFile }))).toEqual(RIGHT);
});

it.each(['127.0.0.1', 'elsewhere.example, 127.0.0.1', '*'])(
  'leaves the proxy aside for NO_PROXY=%s',
  async (exempt) => {
    const proxy = await proxied(['HTTP_PROXY', 'HTTPS_PROXY']);
    vi.stubEnv('NO_PROXY', exempt);
    expect(await both(open(plain))).toEqual(RIGHT);
    expect(await both(open(secure, { 's3.ca-file': caFile }))).toEqual(RIGHT);
    expect(proxy.asked).toEqual([]);
  },
);

it('says that the proxy is not there, or refuses, and which', async () => {
  const proxy = await proxied(['HTTP_PROXY', 'HTTPS_PROXY'], 'some:one');
  const url = new URL(proxy.url);
  vi.stubEnv('HTTPS_PROXY', `http://${url.host}`);
  const options = { 's3.ca-file': caFile, 's3.outage-patience': '50' };
  await expect(read(open(secure, options))).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('407') as unknown,
  });
  await proxies.pop()?.stop();
  await expect(read(open(secure, options))).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining(`through the proxy ${url.host}: ECONNREFUSED`) as unknown,
  });
});
