import { openCloud } from '../cloud.ts';
import { eachMessage, type QueueEvent } from '../jobs/messages.ts';
import { runJob } from '../jobs/run-job.ts';

/** What is left of its time when a job begins nothing more. */
const REST_MS = 20_000;

const cloud = openCloud();

/** The queue of jobs. */
export async function handler(event: QueueEvent, lambda: { getRemainingTimeInMillis(): number }) {
  const { metastore, jobs, print } = cloud;
  const isOver = () => lambda.getRemainingTimeInMillis() < REST_MS;
  const worker = { namespace: await cloud.namespace(), metastore, isOver, send: jobs.send };
  const answer = await eachMessage(event, print, (message) => runJob(worker, message));
  await jobs.settled();
  return answer;
}
