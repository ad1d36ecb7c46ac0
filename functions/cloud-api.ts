import { setTimeout as sleep } from 'node:timers/promises';
import { namespaceEvents } from '#shared/feed/events.ts';
import { followedLog, untilReady } from '#shared/feed/followed-log.ts';
import type { ChangeLog } from '#shared/feed/log.ts';
import { LeatError, toLeatError } from '#shared/model/faults.ts';
import type { RunningNamespace } from '#shared/namespace/create-namespace.ts';
import { createApi } from './api/api.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import type { Registry } from './api/agents.ts';
import type { Recorded } from './api/namespace.ts';
import type { JobSender } from './jobs/job-sender.ts';
import { observed } from './observed.ts';

export interface CloudApiDeps {
  readonly name: string;
  readonly namespace: RunningNamespace;
  readonly recorded: Recorded;
  readonly metastore: Metastore;
  readonly registry: Registry;
  readonly jobs: Pick<JobSender, 'settled'>;
  readonly log: ChangeLog;
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly clock: () => number;
  readonly print: (line: string) => void;
}

/**
 * The API as a function serves it. Whoever gets through to it is trusted as an agent: the function URL lets nobody in whom IAM
 * does not know.
 */
export function cloudApi({
  name,
  namespace,
  recorded,
  metastore,
  registry,
  jobs,
  owner,
  clock,
  print,
  log: changes,
}: CloudApiDeps) {
  const actor = { ...owner, groups: [] };
  const log = (message: string) => print(JSON.stringify({ name, level: 'error', message }));
  const observe = observed({ name, clock, print });
  return createApi({
    namespace,
    recorded,
    clock,
    rows: metastore,
    agents: registry,
    authenticate: () => ({ actor, isOwner: true }),
    around: (c, next) =>
      observe(c, async () => {
        await next();
        // The process may be frozen as soon as it has answered: whatever it began has to be done, or left to others.
        await namespace.rest().catch((error: unknown) => log(`after an answer: ${toLeatError(error).message}`));
        await jobs.settled();
      }),
    // Bodies are limited to 6 MB here, and nothing is kept: agents have the caches and the long breath.
    content: {
      read: () => refuse('the bytes of files come from agents'),
      load: () => refuse('caches belong to agents'),
      free: () => refuse('caches belong to agents'),
      cachedBytes: () => 0,
      written: () => refuse('files are written at agents'),
      retryWritten: () => refuse('files are written at agents'),
    },
    // An answer is sent when it is whole: followers come again every few seconds. Agents tell at once.
    events: namespaceEvents({ feed: untilReady(followedLog({ log: changes, sleep })), metastore }),
    info: () => refuse('there is no agent here'),
    stop: () => refuse('there is no agent here'),
    upgrade: () => refuse('there is no agent here'),
    log,
  });
}

function refuse(what: string): never {
  throw new LeatError('unsupported', `${what}: join this URL with \`leat up --join\` and ask that agent`);
}
