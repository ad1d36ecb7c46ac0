import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { patientCall } from '#agent/joined/patient-call.ts';
import { remoteNamespace } from '#agent/joined/remote-namespace.ts';
import { signedFetch } from '#agent/joined/signed-fetch.ts';
import { isFault } from '#shared/model/faults.ts';
import { joinPath, parsePath } from '#shared/model/names.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import { type LocalCloud, startLocalCloud } from '../../localstack/local-cloud.ts';
import { ensureMinistack } from '../../localstack/ministack.ts';
import { ROOT_USER } from './namespace.ts';

const EMPTY_MS_MAX = 30_000;
const PAGE = 1000;

export interface Binding {
  readonly name: string;
  /** The local cloud needs an engine; where it cannot be installed, its tests are skipped. */
  readonly isThere: boolean;
  readonly isJoined: boolean;
  readonly set: Readonly<Record<string, string>>;
}

const isCloudThere = ensureMinistack() !== undefined;

export const EMBEDDED: Binding = { name: 'embedded', isThere: true, isJoined: false, set: {} };
export const JOINED: Binding = { name: 'joined to a cloud', isThere: isCloudThere, isJoined: true, set: {} };
/** Writes the table itself. */
export const DIRECT: Binding = { ...JOINED, name: 'joined, direct', set: { 'metadata.mode': 'direct' } };
/** Served by the second FUSE driver, which is built for this platform alone. */
export const LIBFUSE: Binding = {
  ...EMBEDDED,
  name: 'embedded, by libfuse',
  isThere: process.platform === 'linux' && process.arch === 'x64',
  set: { 'fuse.driver': 'libfuse' },
};
export const BINDINGS: readonly Binding[] = [EMBEDDED, JOINED];

/** Where the namespace of an agent is that a test starts. */
export interface Home {
  /** For `leat up`. */
  args(): readonly string[];
  env(): Readonly<Record<string, string>>;
  /** For the next test: no mounts and no files, and the agents of these data directories are not told of changes any more. */
  empty(datas: readonly string[]): Promise<void>;
  /** It outlives its agents, which had better end well: what one that is killed has promised to do waits for its leases. */
  readonly isShared: boolean;
  /** Throws where the agents have their rows to themselves. */
  cloud(): LocalCloud;
}

/** What an agent keeps in its data directory, which goes with the test. */
export const OWN_HOME: Home = {
  args: () => [],
  env: () => ({}),
  empty: async () => {},
  isShared: false,
  cloud() {
    throw new Error('these agents have joined no cloud');
  },
};

/** For the tests of a file or group: a cloud is started before them, where they need one, and stopped after them. */
export function homeOf({ isThere, isJoined, set }: Binding): Home {
  const settings = Object.entries(set).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  if (!isJoined) return { ...OWN_HOME, args: () => settings };
  let cloud: LocalCloud | undefined;
  beforeAll(async () => {
    if (!isThere) return;
    cloud = await startLocalCloud({ dir: mkdtempSync(join(tmpdir(), 'leat-cloud-')) });
  });
  afterAll(() => cloud?.stop());
  const up = (): LocalCloud => {
    if (cloud) return cloud;
    throw new Error('the cloud of these tests is not up');
  };
  return {
    args: () => ['--join', up().url, ...settings],
    env: () => up().env,
    isShared: true,
    cloud: up,
    async empty(datas) {
      const calling = callingOf(up());
      const namespace = remoteNamespace({ ...calling, newToken: () => crypto.randomUUID() });
      await unmountAll(namespace);
      await removeAll(namespace);
      for (const data of datas) await leave(calling, data);
    },
  };
}

function callingOf({ url, env }: LocalCloud) {
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = env;
  const fetch = signedFetch({ credentials: async () => ({ accessKeyId, secretAccessKey }) });
  return { fetch, url, sleep: (ms: number) => sleep(ms), random: Math.random };
}

/** What stores are still owed is done first. */
async function unmountAll(namespace: Namespace): Promise<void> {
  const mounts = await namespace.mounts();
  for (const { path } of mounts.toSorted((a, b) => b.path.length - a.path.length)) {
    for (const until = Date.now() + EMPTY_MS_MAX; ;) {
      const failure: unknown = await namespace.unmount(ROOT_USER, path).catch((error: unknown) => error);
      if (failure === undefined) break;
      if (!isFault(failure, 'busy') || Date.now() > until) throw failure;
    }
  }
}

async function removeAll(namespace: Namespace): Promise<void> {
  const root = parsePath('/');
  const { entries } = await namespace.list(ROOT_USER, root, { limit: PAGE });
  for (const { name, inode } of entries) {
    const path = joinPath(root, name);
    if (inode.kind === 'directory') await namespace.removeTree(ROOT_USER, path);
    else await namespace.remove(ROOT_USER, path, 'file');
  }
}

/** One that was killed could not do that itself. */
async function leave(calling: ReturnType<typeof callingOf>, data: string): Promise<void> {
  const file = join(data, 'agent-id');
  if (!existsSync(file)) return;
  await patientCall(calling)(`/v1/agents/${readFileSync(file, 'utf8').trim()}`, () => undefined, { method: 'DELETE' });
}
