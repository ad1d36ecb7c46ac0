import { join } from 'node:path';
import { createNamespace } from '#shared/namespace/create-namespace.ts';
import { type AgentOptions, cachedCore, type Core, dirtyCore, type End, processDeps } from './core.ts';
import { localFeed } from './embedded/change-feed.ts';
import { eventRing } from './embedded/event-ring.ts';
import { heapMetastore } from './embedded/heap-metastore.ts';
import { lmdbMetastore } from './embedded/lmdb-metastore.ts';
import { ensureMounts } from './first-mounts.ts';

/** There is no other agent on these rows. */
const HOLDER = 'here';

/** One process with rows of its own: LMDB or the heap. */
export async function embeddedCore(options: AgentOptions, started: End[]): Promise<Core> {
  const { data, config, log } = options;
  const { clock, owner, stores, ...deps } = processDeps(options, started);
  const feed = localFeed();
  const { 'metastore.durability': durability } = config;
  const metastore =
    config.metastore === 'heap'
      ? heapMetastore({ feed, clock })
      : lmdbMetastore({ dir: join(data, 'metastore'), feed, clock, durability });
  started.push(() => metastore.close());
  const followed = eventRing(feed);
  const { newId, identity, namespaceId, rowsFile } = metastore;
  const remembering = options.keeper?.ids.remembering(newId) ?? newId;
  const namespace = await createNamespace({ metastore, newId: remembering, feed, clock, owner, log, ...deps });
  started.push(() => namespace.close());
  await ensureMounts(namespace, owner, { wanted: options.mounts, ifNone: options.mountsIfNone });
  const cached = cachedCore(options, { identity, clock }, started);
  const metastoreName = config.metastore;
  const holding = {
    namespace,
    cache: cached.cache,
    stores,
    feed,
    metastore,
    namespaceId,
    holder: HOLDER,
    feedLagMs: 0,
  };
  return {
    owner,
    startedAt: Math.round(clock()),
    metastoreName,
    metastore,
    rows: rowsFile === undefined ? undefined : { file: rowsFile, hot: undefined },
    feed,
    followed,
    stores,
    namespace,
    agentId: undefined,
    ...cached,
    ...(await dirtyCore(options, holding, started)),
  };
}
