import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApi } from '#functions/api/api.ts';
import type { ApiDeps } from '#functions/api/deps.ts';
import { byToken } from '#functions/api/guard.ts';
import { type MountInfo, mountInfo } from '#functions/api/mounts.ts';
import { namespaceEvents } from '#shared/feed/events.ts';
import { isFault, LeatError, toLeatError } from '#shared/model/faults.ts';
import { MOUNTS } from '#shared/model/ids.ts';
import type { LockSession } from '#shared/namespace/namespace.ts';
import { type ApiServer, isLoopback, serveApi } from './api-server.ts';
import { type AgentFile, findAgent, removeAgentFile, writeAgentFile } from './cli/agent-file.ts';
import { capacityAt } from './capacity.ts';
import { cachedContent } from './content.ts';
import { keepingWritten } from './dirty/unmounting.ts';
import { type AgentOptions, type Core, type End, endAll } from './core.ts';
import { keptText } from './joined/kept-text.ts';
import { lockData } from './data-lock.ts';
import { embeddedCore } from './embedded-core.ts';
import type { FuseMount } from './fuse/fuse-mount.ts';
import { fuseMissing } from './fuse/mountpoint.ts';
import { mountByDriver } from './fuse-drivers.ts';
import { trimWhenIdle } from './memory.ts';
import { LEAT_VERSION } from './package.ts';

const SESSION_BYTES = 8;
const TOKEN_BYTES = 32;
/** So long the answer of who is about to end takes to be sent. */
const ANSWER_MS = 100;

export interface Agent {
  readonly address: Omit<AgentFile, 'at'>;
  /** Where the namespace is mounted; absent when it is not, and `fuseMissing` may say why. */
  readonly at: string | undefined;
  readonly fuseMissing: string | undefined;
  readonly mounts: readonly MountInfo[];
  /** Unmounts and ends. A busy mount is logged and everything goes on, unless forced. */
  stop(options: { readonly force: boolean }): Promise<void>;
  readonly ended: Promise<void>;
}

/** The composition root of an agent: a binding, and what it serves. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const started: End[] = [];
  try {
    return await start(options, started);
  } catch (error) {
    await endAll(started);
    throw error;
  }
}

async function start(options: AgentOptions, started: End[]): Promise<Agent> {
  const { data, log } = options;
  started.push(trimWhenIdle());
  started.push(await lockData(data, () => holderOf(data)));
  started.push(() => removeAgentFile(data));
  const core = await coreOf(options, started);
  const { mount, missing } = await startMount(options, core, started);
  const at = mount && options.at;

  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let ending: Promise<void> | undefined;
  const stop = async ({ force }: { readonly force: boolean }) => {
    try {
      await (force ? mount?.detach() : mount?.unmount());
      ending ??= endAll(started).then(end);
    } catch (error) {
      log(toLeatError(error).message);
    }
    await ending;
  };
  // Whoever unmounts it by hand wants the agent to end.
  const upgrading = upgrades(options, core, mount);
  void mount?.closed.then(() => (upgrading.isLeaving() ? undefined : stop({ force: true })));

  const facts = { at, fuseMissing: missing };
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const server = await startApi(options, core, {
    facts,
    token,
    stop: () => void stop({ force: false }),
    upgrade: upgrading.upgrade,
  });
  started.push(() => server.close());
  // Whoever follows is told of the end before the server waits for it.
  started.push(() => core.followed.close());
  const address = { pid: process.pid, url: server.url, token };
  writeAgentFile(data, { ...address, ...(at !== undefined && { at }) });
  const mounts = (await core.namespace.mounts()).map(mountInfo);
  return { address, ...facts, mounts, stop, ended };
}

async function coreOf(options: AgentOptions, started: End[]): Promise<Core> {
  if (options.join === undefined) return embeddedCore(options, started);
  // Only now: an agent with rows of its own needs none of AWS's clients for them.
  const { joinedCore } = await import('./joined-core.ts');
  return joinedCore(options, options.join, started);
}

interface Mounting {
  readonly mount?: FuseMount;
  /** Why there is none, when one was wanted. */
  readonly missing?: string;
}

/** A host that permits no FUSE gets everything else. A mount point that is in use is an error. */
async function startMount(options: AgentOptions, core: Core, started: End[]): Promise<Mounting> {
  if (options.at === undefined) return {};
  const missing = fuseMissing();
  if (missing !== undefined) return { missing };
  try {
    const mount = await openMount(options.at, options, core);
    started.push(() => mount.detach());
    return { mount };
  } catch (error) {
    if (isFault(error, 'unavailable')) return { missing: error.message };
    throw error;
  }
}

async function openMount(
  at: string,
  { data, config, allowOther, log, keeper }: AgentOptions,
  core: Core,
): Promise<FuseMount> {
  const { namespace, cache, cacheDir, dirty, dirtyDir, source, feed, metastore, rows, stores, cacheUsers, agentId } =
    core;
  const mount = await mountByDriver(
    config['fuse.driver'],
    {
      at,
      allowOther,
      profile: config['fuse.profile'],
      hasAcls: config['fuse.acl'] === 'on',
      cacheDir,
      dirtyDir,
      rows,
      leaseMs: config['metadata.lease'],
      feed,
      locks: agentId === undefined ? undefined : lockSession(data, agentId, keeper?.resumedDevice === undefined),
      keeper,
    },
    {
      namespace,
      cache,
      dirty,
      source,
      fetchFor: (found) => stores.fetchFor(found),
      flushed: () => metastore.flushed(),
      capacity: (path) => capacityAt({ namespace, stores, data, cache }, path),
      log,
    },
  );
  cacheUsers.add(mount);
  feed.subscribe(({ changes }) => {
    if (changes.some(({ key }) => key.directory === MOUNTS)) void mount.refreshMounts();
  });
  return mount;
}

/** A new mount begins without locks. The session is kept for a successor that goes on with the mount of this process. */
function lockSession(data: string, agent: string, isNew: boolean): LockSession {
  const file = keptText(join(data, 'lock-session'));
  const kept = isNew ? undefined : file.load();
  if (kept !== undefined) return { agent, session: kept, isNew: false };
  const session = randomBytes(SESSION_BYTES).toString('hex');
  file.save(session);
  return { agent, session, isNew: true };
}

interface ApiFacts {
  readonly facts: { readonly at: string | undefined; readonly fuseMissing: string | undefined };
  readonly token: string;
  readonly stop: () => void;
  readonly upgrade: ApiDeps['upgrade'];
}

/** What survives the death of the process survives this end of it too, so nothing but the mount is brought to rest before. */
function upgrades({ succession, log }: AgentOptions, core: Core, mount: FuseMount | undefined) {
  let isLeaving = false;
  const leave = async () => {
    await sleep(ANSWER_MS);
    await mount?.handOver?.();
    await core.metastore.flushed();
    succession?.handOver();
  };
  return {
    isLeaving: () => isLeaving,
    async upgrade() {
      if (!succession)
        throw new LeatError('unsupported', 'this agent has no supervisor: end it, and start it with `leat up`');
      if (mount && !mount.handOver) {
        const next = 'end it with `leat down`, and start it anew';
        throw new LeatError('unsupported', `a mount by fuse.driver=libfuse ends with its agent: ${next}`);
      }
      const to = await succession.newVersion();
      isLeaving = true;
      leave().catch((error: unknown) => log(`could not make room for the new agent: ${toLeatError(error).message}`));
      return { from: LEAT_VERSION, to };
    },
  };
}

function startApi(options: AgentOptions, core: Core, { facts, token, stop, upgrade }: ApiFacts): Promise<ApiServer> {
  const { data, listen, log } = options;
  const { owner, startedAt, stores, namespace, cache, dirty, followed, metastore, metastoreName } = core;
  const api = createApi({
    namespace: keepingWritten(namespace, dirty),
    content: cachedContent({ namespace, cache, dirty, fetchFor: (found) => stores.fetchFor(found) }),
    events: namespaceEvents({ feed: followed, metastore }),
    authenticate: byToken({ owner, token, loopback: isLoopback(listen.host) }),
    log,
    stop,
    upgrade,
    info: async () => ({
      version: LEAT_VERSION,
      pid: process.pid,
      startedAt,
      ...facts,
      data,
      metastore: metastoreName,
      mounts: (await namespace.mounts()).map(mountInfo),
      cache: cache.usage(),
      owed: await namespace.owed(),
    }),
  });
  return serveApi((request) => api.fetch(request), listen);
}

function holderOf(data: string): string {
  try {
    return `pid ${findAgent(data).pid}`;
  } catch {
    return 'one that is just starting or ending';
  }
}
