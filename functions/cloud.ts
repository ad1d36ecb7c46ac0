import { setTimeout as sleep } from 'node:timers/promises';
import { ChangeLog } from '#shared/feed/log.ts';
import { invariant } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import { type Path, toText } from '#shared/model/names.ts';
import { orderedTokens } from '#shared/model/tokens.ts';
import { AGENT_LEASE_MS, Agents, type Inboxes } from '#shared/namespace/agents.ts';
import { createNamespace, type RunningNamespace } from '#shared/namespace/create-namespace.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import type { WorkQueue } from '#shared/ports/work-queue.ts';
import type { Registry } from './api/agents.ts';
import type { Recorded } from './api/namespace.ts';
import { dynamoMetastore } from './drivers/dynamodb.ts';
import { dynamoClient } from './drivers/dynamodb-client.ts';
import { drawnId, foretoldId } from './drivers/ids.ts';
import { type JobSender, jobSender } from './jobs/job-sender.ts';
import { lazyStore } from './lazy-store.ts';
import { touchedRows } from './touched-rows.ts';

/** The root directory is root's, as on any file system. */
const OWNER = { uid: 0, gid: 0 };
const DEFAULT_REGION = 'us-east-1';

export interface Cloud {
  /** Of the installation. */
  readonly name: string;
  readonly owner: typeof OWNER;
  readonly clock: () => number;
  readonly print: (line: string) => void;
  readonly metastore: Metastore;
  readonly recorded: Recorded;
  /** Opened with the first call, and kept. */
  namespace(): Promise<RunningNamespace>;
  readonly agents: Agents;
  readonly log: ChangeLog;
  readonly jobs: JobSender;
  /** Agents as the API registers them. */
  readonly registry: Registry;
}

/** The composition root of all functions. Each makes what it needs when it loads, and keeps it while its process is warm. */
export function openCloud(env: NodeJS.ProcessEnv = process.env): Cloud {
  const [name, table] = [demanded(env, 'LEAT_NAME'), demanded(env, 'LEAT_TABLE')];
  const clock = () => performance.timeOrigin + performance.now();
  const print = (line: string) => console.log(line);
  const engine = { client: dynamoClient(), table, clock, sleep, random: Math.random };
  const warn = (message: string) => print(JSON.stringify({ name, level: 'warn', message }));
  const { metastore, recorded } = touchedRows(dynamoMetastore({ ...engine, log: warn }));
  const jobs = jobSender(lazyQueue(env), warn);
  const deps = {
    metastore,
    newId: drawnId,
    directoryIdOf: foretoldId,
    isShared: true,
    // A listing that nobody waits for would be cut off by the answer of whoever came across it.
    listElsewhere: (path: Path) => jobs.sendBehind({ job: 'sync', path: toText(path) }),
    countElsewhere: (directory: InodeId) => jobs.sendBehind({ job: 'count', directory: btoa(directory) }),
    clock,
    sleep: (ms: number) => sleep(ms),
    newToken: orderedTokens(clock),
    storeOf: lazyStore,
    owner: OWNER,
    log: warn,
  };
  const agents = new Agents({ metastore, clock, inboxes: lazyInboxes(name) });
  const log = new ChangeLog({ metastore, clock });
  let namespace: Promise<RunningNamespace> | undefined;
  return {
    name,
    owner: OWNER,
    clock,
    print,
    metastore,
    recorded,
    namespace() {
      namespace ??= createNamespace(deps).catch((error: unknown) => {
        namespace = undefined;
        throw error;
      });
      return namespace;
    },
    agents,
    log,
    jobs,
    registry: registryOf({
      agents,
      log,
      table,
      region: env['AWS_REGION'] ?? DEFAULT_REGION,
      directReads: env['LEAT_DIRECT_READS'] !== 'off',
    }),
  };
}

function demanded(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  invariant(value, `${name} is not in the environment of this function; the stack sets it`);
  return value;
}

interface Registering {
  readonly agents: Agents;
  readonly log: ChangeLog;
  readonly table: string;
  readonly region: string;
  readonly directReads: boolean;
}

function registryOf({ agents, log, ...where }: Registering): Registry {
  return {
    async join(id, how) {
      const { inbox } = await agents.join(id, how);
      // After it has joined: what is logged from now on comes to the inbox.
      const [sequence, identity] = await Promise.all([log.last(), agents.identity()]);
      return { inbox, ...where, identity, sequence, leaseMs: AGENT_LEASE_MS };
    },
    leave: (id) => agents.leave(id),
  };
}

/** SQS's client is loaded with the first message. */
function lazyQueue(env: NodeJS.ProcessEnv): (body: string) => Promise<void> {
  let opened: Promise<WorkQueue> | undefined;
  const driver = async () => {
    const { sqsClient, sqsWorkQueue } = await import('./drivers/sqs.ts');
    return sqsWorkQueue({ client: sqsClient(), url: demanded(env, 'LEAT_JOBS_QUEUE_URL') });
  };
  return async (body) => (await (opened ??= driver())).send([body]);
}

/** SQS's client is loaded when an agent joins, and not for the requests of all the others. */
function lazyInboxes(name: string): Inboxes {
  let opened: Promise<Inboxes> | undefined;
  const driver = async () => {
    const [{ sqsClient }, { sqsInboxes }] = await Promise.all([
      import('./drivers/sqs.ts'),
      import('./drivers/sqs-inboxes.ts'),
    ]);
    return sqsInboxes({ client: sqsClient(), name });
  };
  return {
    open: async (id) => (await (opened ??= driver())).open(id),
    remove: async (inbox) => (await (opened ??= driver())).remove(inbox),
  };
}
