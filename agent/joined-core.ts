import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { dynamoMetastore } from '#functions/drivers/dynamodb.ts';
import { dynamoClient } from '#functions/drivers/dynamodb-client.ts';
import { drawnId, foretoldId } from '#functions/drivers/ids.ts';
import { sqsClient, sqsWorkQueue } from '#functions/drivers/sqs.ts';
import { followedLog } from '#shared/feed/followed-log.ts';
import { ChangeLog } from '#shared/feed/log.ts';
import { isFault, toLeatError } from '#shared/model/faults.ts';
import type { Path } from '#shared/model/names.ts';
import { SELF } from '#shared/namespace/access.ts';
import type { NamespaceDeps } from '#shared/namespace/context.ts';
import { createNamespace } from '#shared/namespace/create-namespace.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import { type AgentOptions, cachedCore, type Core, dirtyCore, type End, processDeps } from './core.ts';
import { localFeed, type LocalFeed } from './embedded/change-feed.ts';
import { PROFILES } from './fuse/profiles.ts';
import { ensureMounts } from './first-mounts.ts';
import { hotTier, type HotTier } from './joined/hot-tier.ts';
import { Inbox } from './joined/inbox.ts';
import { coherence, joinedNamespace } from './joined/joined-namespace.ts';
import { keptText } from './joined/kept-text.ts';
import { type Call, patientCall } from './joined/patient-call.ts';
import { type Registered, registered } from './joined/registration.ts';
import { remoteNamespace } from './joined/remote-namespace.ts';
import { type ReadRows, readOnly, remoteRows, rowsAllowed } from './joined/remote-rows.ts';
import { signedFetch } from './joined/signed-fetch.ts';

const ID_BYTES = 8;
/** The records of one change come apart, by shards of the table's stream and messages of the inbox. */
const FEED_LAG_MS = 30_000;
/** An inbox that is gone is made again when the registration is renewed. */
const NEW_INBOX_MS = 10_000;

type Elsewhere = Pick<NamespaceDeps, 'listElsewhere' | 'countElsewhere'>;

/** The namespace of a cloud: read here, from rows that are kept near, and changed by its API or, in mode `direct`, here too. */
export async function joinedCore(options: AgentOptions, url: string, started: End[]): Promise<Core> {
  const { config } = options;
  const { stores, ...deps } = processDeps(options, started);
  const { clock, owner } = deps;
  const calling = { fetch: signedFetch(), url, sleep: deps.sleep, random: Math.random };
  const call = patientCall(calling);
  const joined = await register(options, call, started);
  const { identity } = joined.registration;
  const { hot, table } = rowsNear(options, { joined, call, ...deps }, started);

  const sharing = { newId: drawnId, directoryIdOf: foretoldId, isShared: true, log: options.log, ...deps };
  const open = async (metastore: Metastore, elsewhere: Elsewhere = {}) => {
    const namespace = await createNamespace({ ...sharing, metastore, ...elsewhere });
    started.push(() => namespace.close());
    return namespace;
  };
  // What is read here asks who may write to look into a store, and that one tells what is read here of what it has changed.
  const writing = Promise.withResolvers<Namespace>();
  const { believes } = PROFILES[config['fuse.profile']];
  const local = await open(readOnly(believes ? hot : hot.now), {
    listElsewhere: (path) => void listBehind(writing.promise, path, options.log),
    // Whoever makes something in the tree has it counted.
    countElsewhere: () => {},
  });
  const onChanged = coherence({ local, forget: (keys) => hot.forget(keys) });
  const isDirect = config['metadata.mode'] === 'direct';
  const remote = isDirect ? await open(hot.now) : remoteNamespace({ ...calling, newToken: deps.newToken, onChanged });
  writing.resolve(remote);
  const namespace = joinedNamespace({
    local,
    remote,
    storeOf: stores.of,
    demandMountable: stores.demandMountable,
    clock,
  });

  const feed = localFeed();
  const log = new ChangeLog({ metastore: readOnly(table), clock });
  await followFeed(options, { joined, hot, feed, log, sleep: deps.sleep }, started);
  await ensureMounts(namespace, owner, { wanted: options.mounts, ifNone: options.mountsIfNone });
  const cached = cachedCore(options, { identity, clock }, started);
  const holding = {
    namespace,
    cache: cached.cache,
    stores,
    feed,
    metastore: hot,
    namespaceId: identity,
    holder: joined.id,
    feedLagMs: FEED_LAG_MS,
  };
  return {
    owner,
    startedAt: Math.round(clock()),
    metastoreName: 'dynamodb',
    metastore: hot,
    rows: believes ? { file: hot.rowsFile, hot } : undefined,
    feed,
    followed: followedLog({ log, sleep: deps.sleep }),
    stores,
    namespace,
    agentId: joined.id,
    ...cached,
    ...(await dirtyCore(options, holding, started)),
  };
}

/** Under an id that lasts as long as the data directory: with it comes the inbox. */
async function register({ data, log }: AgentOptions, call: Call, started: End[]): Promise<Joined> {
  const file = keptText(join(data, 'agent-id'));
  const id = file.load() ?? randomBytes(ID_BYTES).toString('hex');
  file.save(id);
  let inbox: string | undefined;
  const joined = await registered({ call, id, log, onRenewed: (renewed) => (inbox = renewed.inbox) });
  started.push(() => joined.end());
  return { ...joined, id, inbox: () => inbox ?? joined.registration.inbox };
}

interface Joined extends Registered {
  readonly id: string;
  /** One that was away for long gets another. */
  inbox(): string;
}

interface RowsFrom extends Pick<ReturnType<typeof processDeps>, 'clock' | 'sleep'> {
  readonly joined: Registered;
  readonly call: Call;
}

/** The table's rows, from the table or, where its role does not let this agent, from the API; and those that are kept here. */
function rowsNear(
  { data, config, log }: AgentOptions,
  { joined, call, clock, sleep }: RowsFrom,
  started: End[],
): { readonly hot: HotTier; readonly table: ReadRows } {
  const { table: name, region, identity, directReads } = joined.registration;
  // As with all that AWS's clients take from the environment, what stands there already is meant.
  process.env['AWS_REGION'] ??= region;
  const direct = dynamoMetastore({ client: dynamoClient(), table: name, clock, sleep, random: Math.random, log });
  const isDirect = config['metadata.mode'] === 'direct';
  const rows = remoteRows(call);
  const table = isDirect ? direct : directReads ? rowsAllowed({ direct, remote: rows, log }) : rows;
  const { 'metadata.lease': leaseMs, 'metadata.rows.max': rowsMax } = config;
  const remote = isDirect ? direct : readOnly(table);
  const hot = hotTier({ dir: join(data, 'rows'), remote, identity, clock, leaseMs, rowsMax, log });
  started.push(() => hot.close());
  return { hot, table };
}

async function listBehind(writing: Promise<Namespace>, path: Path, log: (line: string) => void): Promise<void> {
  try {
    await (await writing).sync(SELF, path);
  } catch (error) {
    log(`a directory could not be brought in step with its store: ${toLeatError(error).message}`);
  }
}

interface Following {
  readonly joined: Joined;
  readonly hot: HotTier;
  readonly feed: LocalFeed;
  readonly log: ChangeLog;
  readonly sleep: (ms: number) => Promise<unknown>;
}

/** Up to now before anything that was kept is used, and then as it comes. */
async function followFeed(options: AgentOptions, following: Following, started: End[]): Promise<void> {
  const { joined, hot, feed, log, sleep } = following;
  const file = keptText(join(options.data, 'feed-cursor'));
  const load = () => (file.load() === undefined ? undefined : Number(file.load()));
  const client = sqsClient();
  const ended = new AbortController();
  const inbox = () =>
    new Inbox({
      queue: sqsWorkQueue({ client, url: joined.inbox() }),
      log,
      cursor: { load, save: (sequence) => file.save(String(sequence)) },
      apply(changes) {
        hot.apply(changes);
        feed.publish({ source: undefined, changes });
      },
      lost: () => hot.clear(),
      sleep,
      warn: options.log,
    });
  await inbox().catchUp();
  hot.believe();
  const follow = async () => {
    while (!ended.signal.aborted) {
      await inbox()
        .run(ended.signal)
        .catch((error: unknown) => {
          if (!isFault(error, 'notFound')) throw error;
          joined.missInbox();
        });
      if (!ended.signal.aborted) await sleep(NEW_INBOX_MS);
    }
  };
  const running = follow();
  started.push(async () => {
    ended.abort();
    await running;
    client.destroy();
  });
}
