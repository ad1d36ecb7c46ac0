import { setTimeout as sleep } from 'node:timers/promises';
import { ChangeLog } from '#shared/feed/log.ts';
import { QuotaUsage } from '#shared/feed/quota-usage.ts';
import { countIn } from '#shared/feed/totals.ts';
import { Agents } from '#shared/namespace/agents.ts';
import { dynamoClient } from '../drivers/dynamodb-client.ts';
import { dynamoMetastore } from '../drivers/dynamodb.ts';
import { sqsInboxes } from '../drivers/sqs-inboxes.ts';
import { sqsClient, sqsWorkQueue } from '../drivers/sqs.ts';
import { streamFeed } from '../feed/feed.ts';
import { FOLD_MS, FoldedTimes } from '../feed/folded-times.ts';
import { timesJob } from '../jobs/times-job.ts';

const { LEAT_NAME: name = '', LEAT_TABLE: table = '', LEAT_JOBS_QUEUE_URL: url = '' } = process.env;
const clock = () => performance.timeOrigin + performance.now();
const warn = (message: string) => console.log(JSON.stringify({ name, level: 'warn', message }));
const metastore = dynamoMetastore({ client: dynamoClient(), table, clock, sleep, random: Math.random, log: warn });
const queues = sqsClient();
const jobs = sqsWorkQueue({ client: queues, url });

/** The table's stream: to the log of changes, to the inboxes of agents, into the times of directories. */
export const handler = streamFeed({
  log: new ChangeLog({ metastore, clock }),
  agents: new Agents({ metastore, clock, inboxes: sqsInboxes({ client: queues, name }) }),
  inboxOf: (url) => sqsWorkQueue({ client: queues, url }),
  count: (changes) => countIn({ metastore, clock }, changes),
  quotas: new QuotaUsage({ metastore, clock }),
  times: new FoldedTimes({ metastore, clock, later: (due) => jobs.send([timesJob(due)], { delayMs: FOLD_MS }) }),
  warn,
});
