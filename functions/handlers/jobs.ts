import { openCloud } from '../cloud.ts';
import { sqsClient, sqsWorkQueue } from '../drivers/sqs.ts';
import { eachMessage, type QueueEvent } from '../jobs/messages.ts';
import { runJob } from '../jobs/run-job.ts';

/** What is left of its time when a job begins nothing more. */
const REST_MS = 20_000;

const cloud = openCloud();
const queue = sqsWorkQueue({ client: sqsClient(), url: cloud.jobsQueueUrl() });

/** The queue of jobs. */
export async function handler(event: QueueEvent, lambda: { getRemainingTimeInMillis(): number }) {
  const namespace = await cloud.namespace();
  const worker = {
    namespace,
    metastore: cloud.metastore,
    isOver: () => lambda.getRemainingTimeInMillis() < REST_MS,
    send: (job: object) => queue.send([JSON.stringify(job)]),
  };
  return eachMessage(event, cloud.print, (message) => runJob(worker, message));
}
