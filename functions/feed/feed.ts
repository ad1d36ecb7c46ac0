import { toLeatError } from '#shared/model/faults.ts';
import { MOUNTS } from '#shared/model/ids.ts';
import { isOfFiles } from '#shared/feed/changes.ts';
import { toMessage } from '#shared/feed/inbox-message.ts';
import { type ChangeLog, type LogRecord, RECORD_CHANGES_MAX } from '#shared/feed/log.ts';
import type { QuotaUsage } from '#shared/feed/quota-usage.ts';
import type { NumberedChange } from '#shared/feed/totals.ts';
import type { Agents } from '#shared/namespace/agents.ts';
import type { WorkQueue } from '#shared/ports/work-queue.ts';
import type { FoldedTimes } from './folded-times.ts';
import { changeOf, sequenceOf, type StreamChange, type StreamRecord } from './stream-records.ts';

/** Of all other records nobody keeps copies, and the log would tell of itself. */
const isTold = (change: StreamChange): boolean => isOfFiles(change) || change.key.directory === MOUNTS;

export interface FeedDeps {
  readonly log: ChangeLog;
  readonly agents: Pick<Agents, 'joined'>;
  readonly inboxOf: (address: string) => Pick<WorkQueue, 'send'>;
  readonly count: (changes: readonly NumberedChange[]) => Promise<void>;
  readonly times: FoldedTimes;
  readonly quotas: Pick<QuotaUsage, 'fold'>;
  readonly warn: (line: string) => void;
}

interface BatchAnswer {
  /** Lambda hands over again from the first of them on, which keeps the order of a shard. */
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}

/**
 * What becomes of a batch of the table's stream: it is appended to the log, agents are told, and directories get their times.
 * A batch that comes again is appended again, and counted once; who reads the log bears that. Telling may fail: an agent that was
 * not told finds a hole in the numbers, or nothing new for a while, and reads the log.
 */
export function streamFeed(
  deps: FeedDeps,
): (event: { readonly Records: readonly StreamRecord[] }) => Promise<BatchAnswer> {
  return async ({ Records }) => {
    const { changes, broken } = decoded(deps, Records);
    const told = changes.filter(isTold);
    for (let at = 0; at < told.length; at += RECORD_CHANGES_MAX) {
      const batch = told.slice(at, at + RECORD_CHANGES_MAX);
      const isDone = await worked(deps, 'the log of changes or totals were not written', () => passOn(deps, batch));
      if (!isDone) return failedFrom(batch[0]?.sequence);
    }
    await worked(deps, 'times of directories were not written', () => deps.times.fold(told));
    await worked(deps, 'the usage of quotas was not written', () => deps.quotas.fold(told));
    return broken === undefined ? { batchItemFailures: [] } : failedFrom(broken);
  };
}

/** Up to the first record that cannot be read; that one is tried again, until the stream's source gives it up. */
function decoded(deps: FeedDeps, records: readonly StreamRecord[]) {
  const changes: StreamChange[] = [];
  for (const record of records) {
    try {
      changes.push(changeOf(record));
    } catch (error) {
      deps.warn(`record ${sequenceOf(record)} of the stream: ${toLeatError(error).message}`);
      return { changes, broken: sequenceOf(record) };
    }
  }
  return { changes, broken: undefined };
}

/** Agents first, they wait. */
async function passOn(deps: FeedDeps, batch: readonly StreamChange[]): Promise<void> {
  const records = await deps.log.append(batch);
  await worked(deps, 'agents were not told', () => tell(deps, records));
  await deps.count(batch);
}

/** Asked for each time, and after the log: one that has joined and then read the log's last number misses nothing. */
async function tell({ agents, inboxOf, warn }: FeedDeps, records: readonly LogRecord[]): Promise<void> {
  const messages = records.map(toMessage);
  const joined = await agents.joined();
  await Promise.all(
    joined.map(({ id, inbox }) =>
      inboxOf(inbox)
        .send(messages)
        .catch((error: unknown) => warn(`agent ${id} was not told: ${toLeatError(error).message}`)),
    ),
  );
}

async function worked({ warn }: FeedDeps, what: string, act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    warn(`${what}: ${toLeatError(error).message}`);
    return false;
  }
}

const failedFrom = (sequence: string | undefined): BatchAnswer => ({
  batchItemFailures: [{ itemIdentifier: sequence ?? '' }],
});
