import { openCloud } from '../cloud.ts';
import { sqsClient, sqsWorkQueue } from '../drivers/sqs.ts';
import { isAnythingDue } from '../jobs/run-job.ts';

const cloud = openCloud();
const queue = sqsWorkQueue({ client: sqsClient(), url: cloud.jobsQueueUrl() });

/** By the clock: agents that stay away, and work that nobody else has asked for. */
export async function handler() {
  await cloud.agents.forgetAbsent();
  if (await isAnythingDue(cloud)) await queue.send([JSON.stringify({ job: 'catchUp' })]);
}
