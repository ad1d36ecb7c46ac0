import fc from 'fast-check';
import { hc } from 'hono/client';
import { describe, expect, it } from 'vitest';
import { LeatError } from '#shared/model/faults.ts';
import { fromText, parsePath } from '#shared/model/names.ts';
import { api, FILE, HERE, OWNER } from '../../test/support/api.ts';
import type { Api } from './api.ts';
import { ByteSearchParams } from './percent.ts';

describe('who may ask', () => {
  it('serves the holder of the token as the owner, and others on loopback as nobody', async () => {
    const { request, asked } = api();
    await request('/v1/files?path=/a', OWNER);
    await request('/v1/files?path=/a');
    expect(asked.map(({ actor }) => actor.uid)).toEqual([0, 65_534]);
    expect((await request('/v1/content?path=/a')).status).toBe(403);
    expect((await request('/v1/agent/stop', {}, { method: 'POST' })).status).toBe(401);
    expect((await request('/v1/agent/stop', OWNER, { method: 'POST' })).status).toBe(202);
  });

  it('refuses a wrong token, and none beyond loopback', async () => {
    expect((await api().request('/v1/files?path=/a', { authorization: 'Bearer guess' })).status).toBe(401);
    const open = api({ loopback: false });
    expect((await open.request('/v1/files?path=/a')).status).toBe(401);
    expect((await open.request('/v1/files?path=/a', { ...OWNER, host: 'leat.example' })).status).toBe(200);
  });

  it.each([
    ['a name that was made to resolve to this machine', { host: 'evil.example:4000' }],
    ['a page of another site', { origin: 'https://evil.example' }],
    ['a sandboxed page', { origin: 'null' }],
    ['a page of another site that sends no origin', { 'sec-fetch-site': 'cross-site' }],
  ])('refuses %s, even with the token', async (_, headers) => {
    expect((await api().request('/v1/files?path=/a', { ...OWNER, ...headers })).status).toBe(403);
  });
});

describe('paths in URLs', () => {
  const NAMES = ['a b', '%80', '%', '+', 'é', '🌊', '\udc80\udcff', 'é\udc80', '&=?#', '\n', '\uFFFD'];

  it('carries every name, also what is not UTF-8', async () => {
    const { app, asked } = api();
    const client = hc<Api>(HERE, {
      fetch: app.request,
      headers: { host: 'localhost' },
      buildSearchParams: (query) => new ByteSearchParams(query),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }), async (parts) => {
        const path = `/${parts.join('')}/${parts.join('/')}`;
        const info = await (await client.v1.files.$get({ query: { path } })).json();
        expect(asked.at(-1)?.path).toBe(fromText(path));
        expect(info.path).toBe(path);
      }),
    );
  });

  it('takes plain percent-encoded bytes as curl sends them', async () => {
    const { request, asked } = api();
    await request('/v1/files?path=/a%20b+c/%80/%2580/%c3%a9');
    expect(asked[0]?.path).toBe(parsePath('/a b c/\udc80/%80/é'));
  });

  it('says what is wrong with one', async () => {
    const response = await api().request('/v1/files?path=a');
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ kind: 'invalid', message: "'a': a path starts with /" });
  });
});

describe('content', () => {
  it('answers all, a part, or that there is no such part', async () => {
    const { request } = api();
    const whole = await request('/v1/content?path=/a', OWNER);
    expect([whole.status, whole.headers.get('content-length'), await whole.text()]).toEqual([200, '10', '0123456789']);
    const part = await request('/v1/content?path=/a', { ...OWNER, range: 'bytes=2-4' });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 2-4/10', '234']);
    const behind = await request('/v1/content?path=/a', { ...OWNER, range: 'bytes=10-' });
    expect([behind.status, behind.headers.get('content-range')]).toEqual([416, 'bytes */10']);
    const head = await request('/v1/content?path=/a', OWNER, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '10', '']);
  });

  it('opens the version that is there now when the one it knew is gone', async () => {
    const { request } = api({
      stat: async (_, path) => ({ path, inode: { ...FILE, generation: 1 } }),
      refresh: async (path) => ({ path, inode: FILE }),
    });
    expect(await (await request('/v1/content?path=/a', OWNER)).text()).toBe('0123456789');
  });

  it('puts a failure that comes late into the last line', async () => {
    const init = { method: 'POST', body: '{"path":"/"}' };
    const text = await (await api().request('/v1/content/load', OWNER, init)).text();
    expect(text.trim().split('\n').at(-1)).toBe('{"kind":"unavailable","message":"the store is down"}');
  });
});

describe('failures', () => {
  it('are faults with their status, and a bug is no polite kind', async () => {
    const gone = api({ stat: () => Promise.reject(new LeatError('notFound', '/a is not there')) });
    const response = await gone.request('/v1/files?path=/a');
    expect([response.status, await response.json()]).toEqual([404, { kind: 'notFound', message: '/a is not there' }]);
    expect((await api().request('/v1/agent', OWNER)).status).toBe(503);
    expect((await api().request('/v2')).status).toBe(404);
  });

  it('name the field that is wrong, and limit what is read', async () => {
    const post = (body: string) => api().request('/v1/files', OWNER, { method: 'POST', body });
    expect(await (await post('{"kind":"file","path":"/a","mode":-1}')).json()).toMatchObject({
      kind: 'invalid',
      message: /^mode: /,
    });
    expect(await (await post('{')).json()).toMatchObject({ kind: 'invalid' });
    expect((await post(' '.repeat(2 ** 20 + 1))).status).toBe(413);
  });
});

it('shows times to the nanosecond', async () => {
  const response = await api().request('/v1/files?path=/a/b');
  expect(await response.json()).toMatchObject({
    name: 'b',
    mtimeNs: '1700000000123456789',
    mode: 0o640,
    cachedBytes: 4,
  });
});
