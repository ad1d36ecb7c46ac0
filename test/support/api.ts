import { createApi } from '#functions/api/api.ts';
import type { ApiDeps } from '#functions/api/deps.ts';
import { byToken } from '#functions/api/guard.ts';
import type { NamespaceEvents } from '#shared/feed/events.ts';
import { LeatError } from '#shared/model/faults.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Path } from '#shared/model/names.ts';
import type { Actor, Found, Namespace } from '#shared/namespace/namespace.ts';

const TOKEN = 'the-token';
export const HERE = 'http://127.0.0.1:4000';
const BYTES = new TextEncoder().encode('0123456789');
export const FILE: Inode = {
  kind: 'file',
  id: ROOT,
  mode: 0o640,
  uid: 7,
  gid: 8,
  size: BYTES.length,
  atime: 1n,
  mtime: 1_700_000_000_123_456_789n,
  ctime: 3n,
  version: 1,
  generation: 2,
};

const SILENT: NamespaceEvents = { async *follow() {} };

/** An API over a namespace in which every path is the same file, unless a test says otherwise. */
export function api(
  {
    loopback = true,
    events = SILENT,
    ...own
  }: { loopback?: boolean; events?: NamespaceEvents } & Partial<Namespace> = {},
  further: Partial<ApiDeps> = {},
) {
  const asked: { actor: Actor; path: Path }[] = [];
  const namespace = {
    async stat(actor: Actor, path: Path): Promise<Found> {
      asked.push({ actor, path });
      return { path, inode: FILE };
    },
    ...own,
  } as Namespace;
  const deps: ApiDeps = {
    namespace,
    content: {
      async *read({ inode }, { offset, length }) {
        if (inode.generation < 2) throw new LeatError('changed', 'another version');
        yield BYTES.subarray(offset, offset + length);
      },
      async *load() {
        yield { filesFound: 1, filesLoaded: 1, bytesFound: 1, bytesLoaded: 1, filesFailed: 0 };
        throw new LeatError('unavailable', 'the store is down');
      },
      free: async () => ({ files: 0, bytes: 0 }),
      cachedBytes: () => 4,
      written: async () => [],
      retryWritten: () => {},
    },
    events,
    authenticate: byToken({ owner: { uid: 0, gid: 0, groups: [] }, token: TOKEN, loopback }),
    log: () => {},
    info: async () => Promise.reject(new Error('a bug')),
    stop: () => {},
    upgrade: async () => ({ from: '1', to: '2' }),
    ...further,
  };
  const app = createApi(deps);
  const request = (path: string, headers: Record<string, string> = {}, init: RequestInit = {}) =>
    app.request(`${HERE}${path}`, { ...init, headers: { host: '127.0.0.1:4000', ...headers } });
  return { app, request, asked };
}

export const OWNER = { authorization: `Bearer ${TOKEN}` };
