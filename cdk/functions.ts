import { Duration } from 'aws-cdk-lib';
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { EventSourceMapping, type IFunction, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { SqsDlq } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { exceptStreams } from './exceptions.ts';
import { type FunctionSurroundings, leatFunction } from './leat-function.ts';
import {
  inboxArn,
  ownInboxes,
  readBuckets,
  readStream,
  readTable,
  removeInboxes,
  sendToInboxes,
  writeBuckets,
  writeTable,
} from './permissions.ts';
import { deadLetterQueue } from './queues.ts';

export const JOBS_TIMEOUT = Duration.minutes(5);
export const EVENTS_TIMEOUT = Duration.minutes(1);
const API_TIMEOUT = Duration.seconds(30);
const FEED_TIMEOUT = Duration.minutes(1);
const SWEEP_TIMEOUT = Duration.minutes(5);

const FEED_BATCH = 100;
/** Not waited for: a lone change is told at once, and under load batches fill while the last one is told. */
const FEED_WINDOW = Duration.seconds(0);
/** A change that the feed drops is one that agents see only when their lease ends: an outage of hours must not cost any. */
const FEED_RECORD_AGE = Duration.hours(6);
const FEED_ATTEMPTS_MAX = 10_000;
const MESSAGES_BATCH = 10;

export interface FunctionsProps extends FunctionSurroundings {
  readonly table: Table;
  readonly jobs: Queue;
  readonly events: Queue;
}

export interface Functions {
  readonly api: IFunction;
  readonly feed: IFunction;
  readonly jobs: IFunction;
  readonly events: IFunction;
  readonly sweep: IFunction;
  readonly feedDeadLetters: Queue;
}

/** The five functions, what wakes each, and what each may touch. */
export function controlFunctions(scope: Construct, from: FunctionsProps): Functions {
  const api = apiFunction(scope, from);
  const { feed, feedDeadLetters } = feedFunction(scope, from);
  const jobs = queueFunction(scope, 'jobs', from);
  for (const statement of [...readBuckets(scope, from.props.buckets), ...writeBuckets(scope, from.props.buckets)]) {
    jobs.addToRolePolicy(statement);
  }
  const events = queueFunction(scope, 'events', from);
  for (const statement of readBuckets(scope, from.props.buckets)) events.addToRolePolicy(statement);
  return { api, feed, jobs, events, sweep: sweepFunction(scope, from), feedDeadLetters };
}

function apiFunction(scope: Construct, from: FunctionsProps): IFunction {
  const { table, jobs, props } = from;
  const api = leatFunction(scope, 'api', {
    ...from,
    timeout: API_TIMEOUT,
    memoryMB: 1024,
    description: 'the operations of the namespace, behind the function URL',
  });
  for (const statement of [
    readTable(table),
    writeTable(table),
    ownInboxes(inboxArn(scope, props.name)),
    ...readBuckets(scope, props.buckets),
    ...writeBuckets(scope, props.buckets),
  ]) {
    api.addToRolePolicy(statement);
  }
  jobs.grantSendMessages(api);
  return api;
}

function feedFunction(scope: Construct, from: FunctionsProps): { feed: IFunction; feedDeadLetters: Queue } {
  const { table, jobs, props } = from;
  const feed = leatFunction(scope, 'feed', {
    ...from,
    timeout: FEED_TIMEOUT,
    memoryMB: 512,
    description: 'changes of the table, to the log and to the inboxes of agents',
  });
  const arn = inboxArn(scope, props.name);
  for (const statement of [...readStream(table), readTable(table), writeTable(table), sendToInboxes(arn)]) {
    feed.addToRolePolicy(statement);
  }
  // Times of directories that are not due yet.
  jobs.grantSendMessages(feed);
  exceptStreams(feed, table);
  const feedDeadLetters = deadLetterQueue(scope, 'FeedDeadLetters');
  new EventSourceMapping(scope, 'FeedSource', {
    target: feed,
    eventSourceArn: table.tableStreamArn ?? '',
    startingPosition: StartingPosition.TRIM_HORIZON,
    batchSize: FEED_BATCH,
    maxBatchingWindow: FEED_WINDOW,
    bisectBatchOnError: true,
    reportBatchItemFailures: true,
    retryAttempts: FEED_ATTEMPTS_MAX,
    maxRecordAge: FEED_RECORD_AGE,
    onFailure: new SqsDlq(feedDeadLetters),
  });
  return { feed, feedDeadLetters };
}

function queueFunction(scope: Construct, name: 'jobs' | 'events', from: FunctionsProps): IFunction {
  const { table, jobs } = from;
  const consumer = leatFunction(scope, name, { ...from, ...CONSUMERS[name] });
  consumer.addToRolePolicy(readTable(table));
  consumer.addToRolePolicy(writeTable(table));
  if (name === 'jobs') jobs.grantSendMessages(consumer);
  from[name].grantConsumeMessages(consumer);
  new EventSourceMapping(scope, `${name === 'jobs' ? 'Jobs' : 'Events'}Source`, {
    target: consumer,
    eventSourceArn: from[name].queueArn,
    batchSize: MESSAGES_BATCH,
    reportBatchItemFailures: true,
  });
  return consumer;
}

const CONSUMERS = {
  jobs: { timeout: JOBS_TIMEOUT, memoryMB: 1024, description: 'plans jobs, and does those that move no data' },
  events: { timeout: EVENTS_TIMEOUT, memoryMB: 512, description: 'what others changed in under-stores' },
} as const;

function sweepFunction(scope: Construct, from: FunctionsProps): IFunction {
  const { table, jobs, props } = from;
  const sweep = leatFunction(scope, 'sweep', {
    ...from,
    timeout: SWEEP_TIMEOUT,
    memoryMB: 512,
    description: 'what has run out: leases, removed trees, intents of the dead',
  });
  for (const statement of [readTable(table), writeTable(table), removeInboxes(inboxArn(scope, props.name))]) {
    sweep.addToRolePolicy(statement);
  }
  jobs.grantSendMessages(sweep);
  new Rule(scope, 'SweepSchedule', {
    description: `Leat ${props.name}: when to sweep`,
    schedule: Schedule.rate(Duration.minutes(props.sweepMinutes)),
    // The next sweep does what this one could not.
    targets: [new LambdaFunction(sweep, { retryAttempts: 0 })],
  });
  return sweep;
}
