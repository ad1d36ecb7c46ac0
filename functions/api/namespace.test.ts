import { describe, expect, it } from 'vitest';
import type { Namespace } from '#shared/namespace/namespace.ts';
import { api, FILE, OWNER } from '../../test/support/api.ts';

const ACTOR = { uid: 1000, gid: 1000, groups: [27], checked: true };

interface Posted extends Partial<Namespace> {
  readonly headers?: Record<string, string>;
}

function posted(op: string, body: object, { headers = OWNER, ...namespace }: Posted = {}) {
  const { request, asked } = api(namespace);
  const answer = request(`/v1/namespace/${op}`, headers, { method: 'POST', body: JSON.stringify(body) });
  return { answer, asked };
}

describe('the door of agents', () => {
  it('lets an agent act as whom it says, and nobody else', async () => {
    const { answer, asked } = posted('stat', { actor: ACTOR, path: '/a/\udc80' });
    expect(await (await answer).json()).toMatchObject({ path: '/a/\udc80', inode: /^[A-Za-z0-9+/]+=*$/ });
    expect(asked).toEqual([{ actor: ACTOR, path: '/a/\x80' }]);
    const nobody = posted('stat', { actor: ACTOR, path: '/a' }, { headers: {} });
    expect((await nobody.answer).status).toBe(401);
    expect(nobody.asked).toEqual([]);
  });

  it.each([
    ['stat', { path: '/a' }, 'actor'],
    ['stat', { actor: { ...ACTOR, uid: -1 }, path: '/a' }, 'actor.uid'],
    [
      'create',
      { actor: { ...ACTOR, request: { token: '/', isRetry: false } }, path: '/a', mode: 1 },
      'actor.request.token',
    ],
    ['list', { actor: ACTOR, path: '/a', limit: 0 }, 'limit'],
    ['setAttributes', { actor: ACTOR, path: '/a', patch: { uid: 1.5 } }, 'patch.uid'],
    ['mount', { actor: ACTOR, mount: { path: '/a', uri: 's3://b' } }, 'mount.readOnly'],
  ])('says what is wrong with %s of %j', async (op, body, field) => {
    const answer = await posted(op, body).answer;
    expect([answer.status, await answer.json()]).toMatchObject([
      400,
      { kind: 'invalid', message: new RegExp(`^${field}`) },
    ]);
  });

  it.each([
    ['refresh', { path: '/a', known: 'AAAA' }],
    ['refresh', { path: '/a', known: '%' }],
    ['setAttributes', { actor: ACTOR, path: '/a', patch: { mtime: '1.5' } }],
    ['remove', { actor: ACTOR, path: '/a', kind: 'file', expect: { id: 'longer than any id' } }],
    ['stat', { actor: ACTOR, path: 'a' }],
  ])('refuses what cannot be read in %s of %j', async (op, body) => {
    const answer = await posted(op, body).answer;
    expect([answer.status, await answer.json()]).toMatchObject([400, { kind: 'invalid' }]);
  });

  it('names the operations there are', async () => {
    const answer = await posted('toString', {}).answer;
    expect([answer.status, await answer.json()]).toMatchObject([501, { kind: 'unsupported', message: /stat, list/ }]);
  });

  it('knows what the caller expects, to the nanosecond', async () => {
    const seen: unknown[] = [];
    const setAttributes: Namespace['setAttributes'] = async (...args) => {
      seen.push(args.slice(1));
      return FILE;
    };
    const patch = { mtime: '1700000000123456789', atime: 'now' };
    await posted('setAttributes', { actor: ACTOR, path: '/a', patch, expect: { id: 'abcdef' } }, { setAttributes })
      .answer;
    expect(seen).toEqual([['/a', { mtime: 1_700_000_000_123_456_789n, atime: 'now' }, { id: 'abcdef' }]]);
  });
});
