import { describe, expect, it } from 'vitest';
import { LeatError } from '#shared/model/faults.ts';
import type { MountId } from '#shared/model/inode.ts';
import { parseName, parsePath } from '#shared/model/names.ts';
import type { Mount, Namespace } from '#shared/namespace/namespace.ts';
import { api, FILE, OWNER } from '../../test/support/api.ts';

const MOUNT: Mount = {
  id: 'm1' as MountId,
  path: parsePath('/data'),
  uri: 's3://bucket',
  readOnly: true,
  syncIntervalMs: 5000,
  options: { 's3.region': 'here' },
};

/** An API whose namespace writes down what it is asked to do. */
function recorded() {
  const calls: unknown[][] = [];
  const record =
    <Result>(name: string, result: Result) =>
    async (_actor: unknown, ...args: unknown[]) => {
      calls.push([name, ...args]);
      return result;
    };
  const { app: _, ...rest } = api({
    mkdir: record('mkdir', { ...FILE, kind: 'directory' as const }),
    create: record('create', FILE),
    symlink: record('symlink', { ...FILE, kind: 'symlink' as const, target: 'é' }),
    rename: record('rename', FILE),
    remove: record('remove', undefined),
    removeTree: record('removeTree', undefined),
    setAttributes: record('setAttributes', FILE),
    setXattr: record('setXattr', { ...FILE, xattrs: { 'user.é': '\udc80' } }),
    removeXattr: record('removeXattr', FILE),
    sync: record('sync', 3),
    mount: record('mount', MOUNT),
    unmount: record('unmount', undefined),
    mounts: async () => [MOUNT],
  });
  const send = async (method: string, path: string, body?: unknown) => {
    const init = { method, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const response = await rest.request(`/v1${path}`, OWNER, init);
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  return { calls, send, request: rest.request };
}

describe('files', () => {
  it.each([
    [{ kind: 'directory', path: '/d' }, ['mkdir', '/d', { mode: 0o755, parents: false }]],
    [{ kind: 'directory', path: '/d', mode: 0o700, parents: true }, ['mkdir', '/d', { mode: 0o700, parents: true }]],
    [{ kind: 'file', path: '/f' }, ['create', '/f', { mode: 0o644 }]],
    [{ kind: 'symlink', path: '/l', target: 'é' }, ['symlink', '/l', '\xc3\xa9']],
  ])('makes %o', async (body, call) => {
    const { calls, send } = recorded();
    expect(await send('POST', '/files', body)).toMatchObject({ status: 201, body: { path: body.path } });
    expect(calls).toEqual([call]);
  });

  it.each([
    { kind: 'fifo', path: '/f' },
    { kind: 'file' },
    { kind: 'file', path: 'f' },
    { kind: 'file', path: '/f', mode: 0o10000 },
    { kind: 'symlink', path: '/l', target: '' },
    { kind: 'symlink', path: '/l', target: 'x'.repeat(4096) },
    { kind: 'symlink', path: '/l', target: 'a\0b' },
  ])('refuses to make %o', async (body) => {
    const { calls, send } = recorded();
    expect(await send('POST', '/files', body)).toMatchObject({ status: 400, body: { kind: 'invalid' } });
    expect(calls).toEqual([]);
  });

  it('pages a directory by names', async () => {
    const pages: unknown[] = [];
    const { request } = api({
      async list(_, path, page) {
        pages.push([path, page]);
        return { entries: [{ name: parseName('\x80'), inode: FILE }], next: parseName('\x80') };
      },
    });
    const page = await (await request('/v1/files/list?path=/d')).json();
    expect(page).toMatchObject({ entries: [{ path: '/d/\udc80', name: '\udc80', cachedBytes: 4 }], next: '\udc80' });
    await request('/v1/files/list?path=/d&after=%80&limit=7');
    await request('/v1/files/list?path=/d&limit=999999');
    await request('/v1/files/list?path=/d&limit=0');
    expect(pages).toEqual([
      ['/d', { limit: 1000 }],
      ['/d', { after: '\x80', limit: 7 }],
      ['/d', { limit: 1000 }],
      ['/d', { limit: 1 }],
    ]);
    expect((await request('/v1/files/list?path=/d&limit=-1')).status).toBe(400);
  });

  it('renames, removes by kind, and syncs', async () => {
    const { calls, send } = recorded();
    expect(await send('POST', '/files/rename', { from: '/a', to: '/b' })).toMatchObject({ body: { path: '/b' } });
    await send('POST', '/files/rename', { from: '/a', to: '/b', noReplace: true });
    for (const kind of ['file', 'directory', 'tree']) {
      expect(await send('DELETE', `/files?path=/a&kind=${kind}`)).toEqual({ status: 204, body: undefined });
    }
    expect(await send('POST', '/files/sync', { path: '/a', recursive: true })).toEqual({
      status: 200,
      body: { changed: 3 },
    });
    expect(calls).toEqual([
      ['rename', '/a', '/b', { noReplace: false }],
      ['rename', '/a', '/b', { noReplace: true }],
      ['remove', '/a', 'file'],
      ['remove', '/a', 'directory'],
      ['removeTree', '/a'],
      ['sync', '/a', { recursive: true }],
    ]);
    expect((await send('DELETE', '/files?path=/a')).status).toBe(400);
  });

  it('changes only what is named, times to the nanosecond', async () => {
    const { calls, send } = recorded();
    await send('PATCH', '/files', { path: '/a', mode: 0 });
    await send('PATCH', '/files', { path: '/a', uid: 1, gid: 2, atimeNs: 'now', mtimeNs: '-1700000000123456789' });
    expect(calls).toEqual([
      ['setAttributes', '/a', { mode: 0 }],
      ['setAttributes', '/a', { uid: 1, gid: 2, atime: 'now', mtime: -1_700_000_000_123_456_789n }],
    ]);
    for (const wrong of [{ mtimeNs: '1.5' }, { mtimeNs: 5 }, { uid: -1 }, { uid: 0xffff_ffff }]) {
      expect((await send('PATCH', '/files', { path: '/a', ...wrong })).status).toBe(400);
    }
  });
});

describe('extended attributes', () => {
  it('are set and removed, as bytes', async () => {
    const { calls, send } = recorded();
    const set = await send('PUT', '/xattrs', { path: '/a', name: 'user.é', value: '\udc80', mode: 'create' });
    expect(set.status).toBe(200);
    expect((await send('DELETE', '/xattrs?path=/a&name=user.%c3%a9')).status).toBe(200);
    expect(calls).toEqual([
      ['setXattr', '/a', 'user.\xc3\xa9', '\x80', 'create'],
      ['removeXattr', '/a', 'user.\xc3\xa9'],
    ]);
    expect((await send('PUT', '/xattrs', { path: '/a', name: '', value: '' })).status).toBe(400);
  });
});

describe('mounts', () => {
  it('are shown, made with defaults, and removed', async () => {
    const { calls, send } = recorded();
    expect(await send('GET', '/mounts')).toEqual({ status: 200, body: { mounts: [MOUNT] } });
    expect(await send('POST', '/mounts', { path: '/data', uri: 's3://bucket' })).toEqual({ status: 201, body: MOUNT });
    expect((await send('DELETE', '/mounts?path=/data')).status).toBe(204);
    expect(calls).toEqual([
      ['mount', { path: '/data', uri: 's3://bucket', readOnly: false, syncIntervalMs: -1, options: {} }],
      ['unmount', '/data'],
    ]);
    for (const wrong of [{ uri: '' }, { uri: 's3://b', syncIntervalMs: -2 }, { uri: 's3://b', options: { a: 1 } }]) {
      expect((await send('POST', '/mounts', { path: '/data', ...wrong })).status).toBe(400);
    }
  });

  it.each([
    ['POST', '/mounts', '{"path":"/a","uri":"s3://b"}'],
    ['DELETE', '/mounts?path=/a', undefined],
    ['POST', '/files/sync', '{"path":"/a"}'],
    ['POST', '/content/load', '{"path":"/a"}'],
    ['POST', '/content/free', '{"path":"/a"}'],
  ])('and the like are not for those without the token: %s %s', async (method, path, body) => {
    const { calls, request } = recorded();
    const response = await request(`/v1${path}`, {}, { method, ...(body !== undefined && { body }) });
    expect([response.status, calls]).toEqual([401, []]);
  });
});

describe('content', () => {
  /** A namespace that keeps what is written, piece by piece. */
  function keeping() {
    const kept: { path: string; options: object; text: string }[] = [];
    const write: Namespace['write'] = async (_, path, body, options) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of body) pieces.push(piece);
      kept.push({ path, options, text: Buffer.concat(pieces).toString() });
      return FILE;
    };
    return { kept, ...api({ write }) };
  }

  it('is put whole, with its mode and its length if that is said', async () => {
    const { kept, request } = keeping();
    const put = (query: string, headers: Record<string, string>, body?: string) =>
      request(
        `/v1/content?path=/f${query}`,
        { ...OWNER, ...headers },
        { method: 'PUT', ...(body !== undefined && { body }) },
      );
    expect((await put('&mode=755', { 'content-length': '5' }, 'bytes')).status).toBe(201);
    expect((await put('', {})).status).toBe(201);
    expect(kept).toEqual([
      { path: '/f', options: { mode: 0o755, size: 5 }, text: 'bytes' },
      { path: '/f', options: { mode: 0o644 }, text: '' },
    ]);
    expect((await put('&mode=8', {}, 'x')).status).toBe(400);
  });

  it('answers with what the store says against it', async () => {
    const { request } = api({ write: () => Promise.reject(new LeatError('readOnly', '/f: read-only')) });
    const response = await request('/v1/content?path=/f', OWNER, { method: 'PUT', body: 'x' });
    expect([response.status, await response.json()]).toEqual([405, { kind: 'readOnly', message: '/f: read-only' }]);
  });

  it('has a tag that changes with it, and no more than the file has', async () => {
    const { request } = api();
    const first = await request('/v1/content?path=/f', OWNER);
    const second = await api({ stat: async (_, path) => ({ path, inode: { ...FILE, generation: 3 } }) }).request(
      '/v1/content?path=/f',
      OWNER,
    );
    expect(first.headers.get('etag')).toMatch(/^"[a-z0-9]+-2"$/);
    expect(second.headers.get('etag')).not.toBe(first.headers.get('etag'));
    const tail = await request('/v1/content?path=/f', { ...OWNER, range: 'bytes=-3' });
    expect([tail.status, tail.headers.get('content-length'), await tail.text()]).toEqual([206, '3', '789']);
    const several = await request('/v1/content?path=/f', { ...OWNER, range: 'bytes=0-1,4-5' });
    expect([several.status, await several.text()]).toEqual([200, '0123456789']);
  });

  it('of a directory is refused, and of a file that others may not read', async () => {
    const directory = api({ stat: async (_, path) => ({ path, inode: { ...FILE, kind: 'directory' } }) });
    const answer = await directory.request('/v1/content?path=/d', OWNER);
    expect([answer.status, await answer.json()]).toMatchObject([409, { kind: 'isDirectory' }]);
    expect((await api().request('/v1/content?path=/f')).status).toBe(403);
    const open = api({ stat: async (_, path) => ({ path, inode: { ...FILE, mode: 0o604 } }) });
    expect(await (await open.request('/v1/content?path=/f')).text()).toBe('0123456789');
  });

  it('is loaded in lines, of which the first say how far it is, and freed', async () => {
    const { request } = api();
    const load = await request('/v1/content/load', OWNER, { method: 'POST', body: '{"path":"/"}' });
    expect(load.headers.get('content-type')).toBe('application/x-ndjson');
    const lines = (await load.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      { filesFound: 1, filesLoaded: 1, bytesFound: 1, bytesLoaded: 1, filesFailed: 0 },
      { kind: 'unavailable', message: 'the store is down' },
    ]);
    const free = await request('/v1/content/free', OWNER, { method: 'POST', body: '{"path":"/"}' });
    expect(await free.json()).toEqual({ files: 0, bytes: 0 });
  });
});

describe('the guard', () => {
  it.each(['localhost', 'LOCALHOST:80', '127.0.0.1', '127.1.2.3:4000', '[::1]', '[::1]:4000'])(
    'takes the host %s',
    async (host) => {
      expect((await api().request('/v1/files?path=/a', { host })).status).toBe(200);
    },
  );

  it.each([
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '128.0.0.1',
    '[::2]:80',
    '10.0.0.1',
    'evil.example:127',
    '',
  ])('refuses the host %s', async (host) => {
    expect((await api().request('/v1/files?path=/a', { ...OWNER, host })).status).toBe(403);
  });

  it('takes pages of its own, and what a person types into the address bar', async () => {
    const { request } = api();
    const own = { origin: 'http://127.0.0.1:4000', 'sec-fetch-site': 'same-origin' };
    expect((await request('/v1/files?path=/a', own)).status).toBe(200);
    expect((await request('/v1/files?path=/a', { 'sec-fetch-site': 'none' })).status).toBe(200);
    expect((await request('/v1/files?path=/a', { origin: 'http://127.0.0.1:5000' })).status).toBe(403);
    expect((await request('/v1/files?path=/a', { 'sec-fetch-site': 'same-site' })).status).toBe(403);
  });

  it.each(['Bearer', 'Bearer ', 'bearer the-token', 'Basic the-token', 'the-token', 'Bearer the-token-'])(
    'refuses the authorization "%s"',
    async (authorization) => {
      expect((await api().request('/v1/files?path=/a', { authorization })).status).toBe(401);
    },
  );
});
