import { openCloud } from '../cloud.ts';
import { sweepLocks } from '#shared/namespace/locks.ts';
import { isAnythingDue } from '../jobs/run-job.ts';

const cloud = openCloud();

/** By the clock: agents that stay away, and work that nobody else has asked for. */
export async function handler() {
  await cloud.agents.forgetAbsent();
  await sweepLocks({ ...cloud, random: Math.random });
  if (await isAnythingDue(cloud)) await cloud.jobs.send({ job: 'catchUp' });
}
