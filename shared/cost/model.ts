import type { Mix } from './mixes.ts';
import { FREE_TABLE_GB, PRICES } from './prices.ts';
import { type Operation, OPERATION_NAMES, OPERATIONS, STORED_BYTES, unitsOf, writeUnits } from './requests.ts';

export const MONTH_SECONDS = 730 * 3600;
export const GB = 1e9;

/** What of the stack costs, as `cdk/` sets it up; a guess is called one. */
const API = { memoryGb: 1, seconds: 0.02, logBytes: 900 }; // a guess: warm, and all that Lambda logs beside our line
const FEED = { memoryGb: 0.5, seconds: 0.05, logBytes: 400, batchMax: 100 }; // a guess
const SWEEP = { memoryGb: 0.5, seconds: 0.1, everySeconds: 60 }; // a guess
/** Lambda looks into each shard of the stream about so often: an idle system is told of every change by itself. */
const POLLS_A_SECOND = 4;
/** One change in the log and in a message: keys and both rows, in base 64 and JSON. */
const CHANGE_BYTES = 450;
const MESSAGE_BYTES = 64 * 1024;
/** Of a record in the list of agents. */
const AGENT_BYTES = 300;
const HEARTBEAT_SECONDS = 10;
const LONG_POLL_SECONDS = 20;
/** So long an agent is busy with what it received, a guess; and so many messages it takes at a time. */
const INBOX = { seconds: 0.05, deliveriesMax: 10 };
/** Lambda keeps five long polls on each queue that it consumes. From memory, not verified. */
const QUEUE_POLLS = 5;
const CONSUMED_QUEUES = 2;
const ALARMS = 16;
/** Three for all operations, and three for each that was called within the hour. */
const METRICS_EACH = 3;
/** A partition holds so much, and takes so many writes; each is a shard of the stream. On demand begins with four. */
const PARTITION = { bytes: 10 * GB, writes: 1000, min: 4 };

export interface Load {
  readonly files: number;
  readonly mix: Mix;
  readonly agents: number;
  /** Names in a path. */
  readonly depth: number;
  /** Directories in which something changes within the same second: each is written once in it, with its times. */
  readonly busyDirectories: number;
}

export const DEFAULT_LOAD = { agents: 8, depth: 6, busyDirectories: 16 } as const;

/** What is used of everything that is charged for, a month; all but storage by the second first. */
interface Use {
  readonly reads: number;
  readonly writes: number;
  readonly calls: number;
  readonly gbSeconds: number;
  readonly messages: number;
  readonly logBytes: number;
}

const plus = (a: Use, b: Use): Use => ({
  reads: a.reads + b.reads,
  writes: a.writes + b.writes,
  calls: a.calls + b.calls,
  gbSeconds: a.gbSeconds + b.gbSeconds,
  messages: a.messages + b.messages,
  logBytes: a.logBytes + b.logBytes,
});
const NOTHING: Use = { reads: 0, writes: 0, calls: 0, gbSeconds: 0, messages: 0, logBytes: 0 };

interface Called {
  readonly memoryGb: number;
  readonly seconds: number;
  readonly logBytes?: number;
}

const called = (times: number, { memoryGb, seconds, logBytes = 0 }: Called): Use => ({
  ...NOTHING,
  calls: times,
  gbSeconds: times * memoryGb * seconds,
  logBytes: times * logBytes,
});

function dollarsOf({ reads, writes, calls, gbSeconds, messages, logBytes }: Use) {
  return {
    reads: reads * PRICES.readUnit.usd,
    writes: writes * PRICES.writeUnit.usd,
    lambda: calls * PRICES.call.usd + gbSeconds * PRICES.gbSecond.usd,
    messages: messages * PRICES.message.usd,
    logs: (logBytes / GB) * PRICES.logGb.usd,
  };
}

/** Reads go from the agent to the table; what changes something goes through the API. */
const isRead = (operation: Operation): boolean => OPERATIONS[operation].changes === 0;
/** A job does it, and not a call of the API for each. */
const isBehind = (operation: Operation): boolean => operation === 'reclaim-100';

/** So much is used by `times` operations, without the feed of what they change. */
function useOf(operation: Operation, times: number, depth: number): Use {
  const { read, write } = unitsOf(operation, depth);
  const own = { ...NOTHING, reads: times * read, writes: times * write };
  if (isRead(operation)) return own;
  return plus(own, called(times, isBehind(operation) ? FEED : API));
}

interface Fed {
  /** A second. */
  readonly changes: number;
  readonly agents: number;
  readonly shards: number;
}

/** A second of the feed: the log, the messages to the agents and their receipts, the times of directories. */
function feedUse({ changes, agents, shards }: Fed, busyDirectories: number): Use {
  const folds = Math.min(changes, busyDirectories);
  const told = changes + folds;
  const batch = Math.min(FEED.batchMax, Math.max(1, told / shards / POLLS_A_SECOND));
  const calls = told / batch;
  const recordBytes = batch * CHANGE_BYTES;
  // What the feed itself writes, the record and the number of the last, comes in the stream too, and is passed over.
  const passedOver = Math.min(2 * calls, POLLS_A_SECOND);
  return {
    ...called(calls + passedOver, FEED),
    reads: calls * Math.ceil(Math.max(1, agents * AGENT_BYTES) / 4096) + 2 * folds,
    writes: calls * (writeUnits(recordBytes) + 1) + folds,
    messages: calls * agents * messageRequests(calls, recordBytes),
  };
}

/** What one message to one agent takes: it is sent by itself, and received and taken away with those that came meanwhile. */
function messageRequests(perSecond: number, bytes: number): number {
  const together = Math.min(INBOX.deliveriesMax, Math.max(1, perSecond * INBOX.seconds));
  const received = Math.ceil((together * bytes) / MESSAGE_BYTES);
  return Math.ceil(bytes / MESSAGE_BYTES) + (received + 1) / together;
}

/** A second of nothing: agents renew their leases and listen, queues are polled, the sweep looks around. */
function idleUse(agents: number): Use {
  const beats = agents / HEARTBEAT_SECONDS;
  const heartbeat = plus(called(beats, API), { ...called(beats, FEED), reads: 4 * beats, writes: beats });
  const sweeps = 1 / SWEEP.everySeconds;
  const sweep = { ...called(sweeps, SWEEP), reads: 4 * sweeps };
  const polls = (agents + QUEUE_POLLS * CONSUMED_QUEUES) / LONG_POLL_SECONDS;
  return plus(plus(heartbeat, sweep), { ...NOTHING, messages: polls });
}

interface Part {
  readonly name: string;
  readonly usd: number;
}

export interface Estimate {
  /** Of the bill, by what AWS calls it. */
  readonly parts: readonly Part[];
  /** The same money without what is stored, by what caused it. */
  readonly causes: readonly Part[];
  readonly storageUsd: number;
  readonly idleUsd: number;
  readonly totalUsd: number;
}

export function estimate({ files, mix, agents, depth, busyDirectories }: Load): Estimate {
  const rates = OPERATION_NAMES.map((name) => ({ name, rate: mix[name] ?? 0 })).filter(({ rate }) => rate > 0);
  const changes = rates.reduce((sum, { name, rate }) => sum + rate * OPERATIONS[name].changes, 0);
  const writes = rates.reduce((sum, { name, rate }) => sum + rate * unitsOf(name, depth).write, 0);
  const shards = Math.max(PARTITION.min, (files * STORED_BYTES) / PARTITION.bytes, writes / PARTITION.writes);
  const feed = changes === 0 ? NOTHING : feedUse({ changes, agents, shards }, busyDirectories);
  const idle = idleUse(agents);
  const uses = rates.map(({ name, rate }) => ({ name, use: useOf(name, rate, depth) }));
  const used = dollarsOf(uses.reduce((sum, { use }) => plus(sum, use), plus(feed, idle)));
  const watching = ALARMS * PRICES.alarm.usd;
  const metrics = metricsOf(rates.filter(({ name }) => !isRead(name)).length, agents);
  const stored = storage(files);
  const parts = [
    { name: 'DynamoDB reads', usd: used.reads * MONTH_SECONDS },
    { name: 'DynamoDB writes', usd: used.writes * MONTH_SECONDS },
    { name: 'DynamoDB storage', usd: stored.table },
    { name: 'Point-in-time recovery', usd: stored.recovery },
    { name: 'Lambda', usd: used.lambda * MONTH_SECONDS },
    { name: 'SQS', usd: used.messages * MONTH_SECONDS },
    { name: 'CloudWatch logs', usd: used.logs * MONTH_SECONDS },
    { name: 'CloudWatch alarms, metrics', usd: watching + metrics },
  ];
  const idleUsd = monthly(idle) + watching;
  const causes = [
    ...uses.map(({ name, use }) => ({ name, usd: monthly(use) })),
    { name: 'change feed', usd: monthly(feed) },
    { name: 'idle', usd: idleUsd },
    { name: 'metrics', usd: metrics },
  ];
  const totalUsd = parts.reduce((sum, { usd }) => sum + usd, 0);
  return { parts, causes, storageUsd: stored.table + stored.recovery, idleUsd, totalUsd };
}

const monthly = (use: Use): number => Object.values(dollarsOf(use)).reduce((sum, usd) => sum + usd, 0) * MONTH_SECONDS;

/** The operations that the API sees; a heartbeat is one. */
function metricsOf(operations: number, agents: number): number {
  const seen = operations + (agents > 0 ? 1 : 0);
  return seen === 0 ? 0 : METRICS_EACH * (1 + seen) * PRICES.metric.usd;
}

function storage(files: number) {
  const gb = (files * STORED_BYTES) / GB;
  return { table: Math.max(0, gb - FREE_TABLE_GB) * PRICES.tableGb.usd, recovery: gb * PRICES.recoveryGb.usd };
}

/** Of a million operations, without the feed. */
export function millionUsd(operation: Operation, depth: number): number {
  return monthly(useOf(operation, 1e6 / MONTH_SECONDS, depth));
}
