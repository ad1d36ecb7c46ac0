import { openCloud } from '../cloud.ts';
import { eachMessage, type QueueEvent } from '../jobs/messages.ts';
import { changedObjects } from '../jobs/store-notices.ts';

const cloud = openCloud();

/** What buckets tell of their objects. */
export async function handler(event: QueueEvent) {
  const namespace = await cloud.namespace();
  const answer = await eachMessage(event, cloud.print, async (message) => {
    for (const uri of changedObjects(message)) await namespace.notice(uri);
  });
  await namespace.rest();
  await cloud.jobs.settled();
  return answer;
}
