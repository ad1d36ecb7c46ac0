import * as z from 'zod';
import { INTENTS, type InodeId, TRASH } from '#shared/model/ids.ts';
import { parsePath } from '#shared/model/names.ts';
import { SELF } from '#shared/namespace/access.ts';
import type { RunningNamespace } from '#shared/namespace/create-namespace.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import { writeTimes } from '../feed/folded-times.ts';
import { dueTime } from './times-job.ts';

/**
 * `catchUp`: removed trees and debts to stores. `sync`: a directory is compared with its store. `count`: the
 * tree of a quota is counted anew. `times`: entries of these directories came or went then.
 */
const Job = z.discriminatedUnion('job', [
  z.object({ job: z.literal('catchUp') }),
  z.object({ job: z.literal('sync'), path: z.string().transform(parsePath) }),
  z.object({ job: z.literal('count'), directory: z.base64() }),
  z.object({ job: z.literal('times'), due: z.array(z.tuple([z.base64(), z.number()])) }),
]);
export type Job = z.input<typeof Job>;

export interface Worker {
  readonly namespace: RunningNamespace;
  readonly metastore: Metastore;
  /** When nothing more is to be begun. */
  isOver(): boolean;
  send(job: Job): Promise<void>;
}

/** Idempotent: a job that is delivered twice finds nothing to do. What does not fit into the time of one function is sent on. */
export async function runJob(worker: Worker, message: unknown): Promise<void> {
  const { namespace, metastore, isOver } = worker;
  const job = Job.parse(message);
  if (job.job === 'times') {
    for (const each of job.due) await writeTimes(metastore, dueTime(each));
    return;
  }
  if (job.job === 'count') return namespace.count(atob(job.directory) as InodeId);
  if (job.job === 'sync') await namespace.sync(SELF, job.path);
  else await namespace.catchUp(isOver);
  await namespace.rest();
  if (isOver() && (await isAnythingDue(worker))) await worker.send({ job: 'catchUp' });
}

export async function isAnythingDue({ metastore }: Pick<Worker, 'metastore'>): Promise<boolean> {
  const first = await Promise.all([TRASH, INTENTS].map((directory) => metastore.list(directory, { limit: 1 })));
  return first.some((rows) => rows.length > 0);
}
