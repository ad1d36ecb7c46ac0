import { coherence, joinedNamespace } from '#agent/joined/joined-namespace.ts';
import { type Calling, patientCall } from '#agent/joined/patient-call.ts';
import { type RemoteNamespaceDeps, remoteNamespace } from '#agent/joined/remote-namespace.ts';
import { readOnly, type ReadRows, remoteRows } from '#agent/joined/remote-rows.ts';
import type { ApiDeps } from '#functions/api/deps.ts';
import type { MountId } from '#shared/model/inode.ts';
import type { NamespaceDeps } from '#shared/namespace/context.ts';
import { createNamespace } from '#shared/namespace/create-namespace.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { api, HERE, OWNER } from './api.ts';
import { ROOT_USER } from './namespace.ts';

export type Fetch = RemoteNamespaceDeps['fetch'];

let tokens = 0;

/** How an agent calls an API in this process, by real requests and answers. `wrap` wraps what carries them. */
export function callingOf(
  namespace: Namespace,
  { wrap = (fetch: Fetch) => fetch, ...deps }: { wrap?: (fetch: Fetch) => Fetch } & Partial<ApiDeps> = {},
) {
  const { app } = api(namespace, deps);
  const fetch: Fetch = async (request) => {
    const headers = { ...OWNER, host: '127.0.0.1:4000', 'content-type': 'application/json' };
    return app.request(request.url, { method: request.method, headers, body: await request.text() });
  };
  return { fetch: wrap(fetch), url: HERE, sleep: async () => {}, random: () => 0.5 };
}

/** `clock` is that of the namespace, where it is not the world's. */
export function remoteOver(namespace: Namespace, wrap?: (fetch: Fetch) => Fetch, clock = Date.now): Namespace {
  return remoteNamespace({
    ...callingOf(namespace, { clock, ...(wrap && { wrap }) }),
    newToken: () => `test-${++tokens}`,
  });
}

/** Carries out each request, and loses the answers that `isLost` picks by their number. */
export function losing(isLost: (count: number) => boolean) {
  let count = 0;
  return (fetch: Fetch): Fetch =>
    async (request) => {
      const response = await fetch(request);
      if (isLost(++count)) throw new TypeError('fetch failed', { cause: new Error('socket hang up') });
      return response;
    };
}

/** An agent that has joined a namespace made of `deps`: it reads rows over the API, and changes by it. */
export async function joinedTo(
  namespace: Namespace,
  deps: NamespaceDeps,
  { recorded, wrap, ...reading }: Joining & Reading = {},
): Promise<Namespace> {
  const serving = { rows: deps.metastore, clock: deps.clock, ...(recorded && { recorded }), ...(wrap && { wrap }) };
  return joinedBy(callingOf(namespace, serving), deps, reading);
}

interface Joining extends Partial<Pick<ApiDeps, 'recorded'>> {
  readonly wrap?: (fetch: Fetch) => Fetch;
}

interface Reading {
  /** Rows that the agent may read by itself; else they come over the API. */
  readonly direct?: ReadRows;
  /** What is kept of them. */
  readonly kept?: (rows: ReadRows) => { readonly rows: ReadRows; forget(keys: readonly RowKey[]): void };
}

export async function joinedBy(
  calling: Calling,
  deps: NamespaceDeps,
  { direct, kept = (rows) => ({ rows, forget: () => {} }) }: Reading = {},
): Promise<Namespace> {
  const { rows, forget } = kept(direct ?? remoteRows(patientCall(calling)));
  const stores = new Map<MountId, UnderStore>();
  const storeOf = (mount: Parameters<NamespaceDeps['storeOf']>[0]) => {
    const store = deps.storeOf(mount);
    stores.set(mount.id, store);
    return store;
  };
  const local = await createNamespace({
    ...deps,
    metastore: readOnly(rows),
    storeOf,
    isShared: true,
    countElsewhere: () => {},
    listElsewhere: (path) => void remote.list(ROOT_USER, path, { limit: 1 }).catch(() => undefined),
  });
  const newToken = () => `test-${++tokens}`;
  const remote = remoteNamespace({ ...calling, newToken, onChanged: coherence({ local, forget }) });
  return joinedNamespace({ local, remote, storeOf: (id) => stores.get(id), clock: deps.clock });
}
