import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentInfo } from '#functions/api/agent.ts';
import { createApi } from '#functions/api/api.ts';
import { type MountInfo, mountInfo } from '#functions/api/mounts.ts';
import type { Config } from '#shared/config/config.ts';
import { LeatError, toLeatError } from '#shared/model/faults.ts';
import { MOUNTS } from '#shared/model/ids.ts';
import { ROOT_PATH } from '#shared/model/names.ts';
import { createNamespace } from '#shared/namespace/create-namespace.ts';
import type { Actor, NewMount } from '#shared/namespace/namespace.ts';
import { isLoopback, type Listen, serveApi } from './api-server.ts';
import { dataCache } from './cache/data-cache.ts';
import { type AgentFile, findAgent, removeAgentFile, writeAgentFile } from './cli/agent-file.ts';
import { cachedContent } from './content.ts';
import { lockData } from './data-lock.ts';
import { localFeed } from './embedded/change-feed.ts';
import { heapMetastore } from './embedded/heap-metastore.ts';
import { lmdbMetastore } from './embedded/lmdb-metastore.ts';
import { ensureMounts } from './first-mounts.ts';
import { fuseMount, type FuseMount } from './fuse/fuse-mount.ts';
import { fuseMissing } from './fuse/mountpoint.ts';
import { LEAT_VERSION } from './package.ts';
import { openStores } from './stores.ts';
import { orderedTokens } from './tokens.ts';

const TOKEN_BYTES = 32;
/** What `df` shows of a store that has no limit. */
const BOUNDLESS = { total: 2 ** 50, free: 2 ** 50 };

export interface AgentOptions {
  /** Absolute; everything that lasts is below it. */
  readonly data: string;
  /** Absolute; absent: the API alone. */
  readonly at?: string;
  readonly allowOther: boolean;
  readonly listen: Listen;
  readonly config: Config;
  readonly mounts: readonly NewMount[];
  /** What is shown when nothing is mounted and `mounts` is empty. */
  readonly mountsIfNone: readonly NewMount[];
  readonly log: (line: string) => void;
}

export interface Agent {
  readonly address: Omit<AgentFile, 'at'>;
  /** Where the namespace is mounted; absent when it is not, and `fuseMissing` may say why. */
  readonly at?: string;
  readonly fuseMissing?: string;
  readonly mounts: readonly MountInfo[];
  /** Unmounts and ends. A busy mount is logged and everything goes on, unless forced. */
  stop(options: { readonly force: boolean }): Promise<void>;
  readonly ended: Promise<void>;
}

/** The composition root of the embedded binding: one process, LMDB or the heap, and what it serves. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  // What has been started, to be ended in the opposite order: by `stop`, or here when a later part fails.
  const started: (() => unknown)[] = [];
  try {
    return await start(options, started);
  } catch (error) {
    for (const end of started.toReversed()) await end();
    throw error;
  }
}
