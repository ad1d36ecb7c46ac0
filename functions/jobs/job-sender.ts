import { toLeatError } from '#shared/model/faults.ts';
import type { Job } from './run-job.ts';

/** Puts jobs on their queue. */
export interface JobSender {
  send(job: Job): Promise<void>;
  /** The same without a failure, for what is asked for again if it gets lost. */
  sendBehind(job: Job): void;
  /** What was sent behind is out. To be awaited before an answer: afterwards the process may be frozen. */
  settled(): Promise<void>;
}

export function jobSender(put: (body: string) => Promise<void>, warn: (message: string) => void): JobSender {
  const sending = new Set<Promise<void>>();
  const send = (job: Job) => put(JSON.stringify(job));
  return {
    send,
    sendBehind(job) {
      const sent = send(job)
        .catch((error: unknown) => warn(`a job was not sent: ${toLeatError(error).message}`))
        .finally(() => sending.delete(sent));
      sending.add(sent);
    },
    async settled() {
      await Promise.all(sending);
    },
  };
}
