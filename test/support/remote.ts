import { type RemoteNamespaceDeps, remoteNamespace } from '#agent/joined/remote-namespace.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import { api, HERE, OWNER } from './api.ts';

let tokens = 0;

/** An agent's client of an API in this process, over real requests and answers. `fetch` wraps what carries them. */
export function remoteOver(
  namespace: Namespace,
  wrap: (fetch: RemoteNamespaceDeps['fetch']) => RemoteNamespaceDeps['fetch'] = (fetch) => fetch,
): Namespace {
  const { app } = api(namespace);
  const fetch = async (request: Request) => {
    const headers = { ...OWNER, host: '127.0.0.1:4000', 'content-type': 'application/json' };
    return app.request(request.url, { method: request.method, headers, body: await request.text() });
  };
  return remoteNamespace({
    fetch: wrap(fetch),
    url: HERE,
    newToken: () => `test-${++tokens}`,
    sleep: async () => {},
    random: () => 0.5,
  });
}

/** Carries out each request, and loses the answers that `isLost` picks by their number. */
export function losing(isLost: (count: number) => boolean) {
  let count = 0;
  return (fetch: RemoteNamespaceDeps['fetch']): RemoteNamespaceDeps['fetch'] =>
    async (request) => {
      const response = await fetch(request);
      if (isLost(++count)) throw new TypeError('fetch failed', { cause: new Error('socket hang up') });
      return response;
    };
}
