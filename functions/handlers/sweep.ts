import { openCloud } from '../cloud.ts';
import { isAnythingDue } from '../jobs/run-job.ts';

const cloud = openCloud();

/** By the clock: agents that stay away, and work that nobody else has asked for. */
export async function handler() {
  await cloud.agents.forgetAbsent();
  if (await isAnythingDue(cloud)) await cloud.jobs.send({ job: 'catchUp' });
}
