import { describe, expect, it } from 'vitest';
import { parsePath } from '#shared/model/names.ts';
import { api, OWNER } from '../../test/support/api.ts';

const QUOTA = { path: parsePath('/é'), limits: { entries: 5 }, used: { bytes: 7, entries: 2 } };
const SHOWN = { path: '/é', entries: 5, usedBytes: 7, usedEntries: 2 };

function recorded() {
  const calls: unknown[][] = [];
  const { app } = api({
    setQuota: async (_, ...args) => {
      calls.push(args);
      return QUOTA;
    },
    removeQuota: async (_, ...args) => void calls.push(args),
    quotas: async (_, ...args) => {
      calls.push(args);
      return [QUOTA];
    },
  });
  const send = async (method: string, path: string, body?: unknown, headers: Record<string, string> = OWNER) => {
    const init = { method, headers: { host: '127.0.0.1:4000', ...headers } };
    const response = await app.request(`http://127.0.0.1:4000/v1/quotas${path}`, {
      ...init,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  return { calls, send };
}

describe('quotas', () => {
  it('are set, listed and taken away', async () => {
    const { calls, send } = recorded();
    expect(await send('PUT', '', { path: '/a', bytes: 0 })).toEqual({ status: 200, body: SHOWN });
    expect(await send('GET', '?path=/a')).toEqual({ status: 200, body: { quotas: [SHOWN] } });
    expect(await send('GET', '')).toEqual({ status: 200, body: { quotas: [SHOWN] } });
    expect(await send('DELETE', '?path=/a')).toEqual({ status: 204, body: undefined });
    expect(calls).toEqual([['/a', { bytes: 0 }], ['/a'], ['/'], ['/a']]);
  });

  it.each([{ path: '/a', bytes: -1 }, { path: '/a', entries: 1.5 }, { path: 'a', bytes: 1 }, { bytes: 1 }])(
    'refuses %o',
    async (body) => {
      expect(await recorded().send('PUT', '', body)).toMatchObject({ status: 400, body: { kind: 'invalid' } });
    },
  );
});
