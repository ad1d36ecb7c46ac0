import * as z from 'zod';
import type { Registration } from '#functions/api/agents.ts';
import { toLeatError } from '#shared/model/faults.ts';
import type { Call } from './patient-call.ts';

/** So often within a lease it is renewed: one of them may get lost. */
const RENEWALS_PER_LEASE = 3;
/** An agent ends without it, too. */
const LEAVE_MS_MAX = 3000;

const Answer = z.object({
  inbox: z.string(),
  table: z.string(),
  region: z.string(),
  identity: z.string(),
  sequence: z.int(),
  leaseMs: z.int().min(1),
  directReads: z.boolean(),
}) satisfies z.ZodType<Registration>;

export interface RegistrationDeps {
  readonly call: Call;
  /** The same over restarts: whoever has the id has the inbox. */
  readonly id: string;
  readonly log: (message: string) => void;
  /** Each time again: the log may have come further than what has arrived. */
  readonly onRenewed: (registration: Registration) => void;
}

export interface Registered {
  readonly registration: Registration;
  /** The queue is not there any more: with the next renewal comes another. */
  missInbox(): void;
  /** Changes are not told any more. */
  end(): Promise<void>;
}

/** Joins, and stays joined until the end. While the API does not answer the agent goes on, and joins again when it does. */
export async function registered({ call, id, log, onRenewed }: RegistrationDeps): Promise<Registered> {
  let isInboxGone = false;
  const join = async () => {
    const answer = Answer.parse(await call('/v1/agents', () => ({ id, ...(isInboxGone && { isInboxGone }) })));
    isInboxGone = false;
    return answer;
  };
  const registration = await join();
  let isEnding = false;
  let renewing: Promise<void> = Promise.resolve();
  const renew = async () => {
    try {
      onRenewed(await join());
    } catch (error) {
      log(`this agent could not renew its registration, and tries again: ${toLeatError(error).message}`);
    }
    if (!isEnding) plan();
  };
  let timer: NodeJS.Timeout | undefined;
  const plan = () => {
    timer = setTimeout(() => void (renewing = renew()), registration.leaseMs / RENEWALS_PER_LEASE);
    timer.unref();
  };
  plan();
  return {
    registration,
    missInbox: () => void (isInboxGone = true),
    async end() {
      isEnding = true;
      clearTimeout(timer);
      await renewing;
      try {
        await call(`/v1/agents/${encodeURIComponent(id)}`, () => undefined, {
          method: 'DELETE',
          answerMsMax: LEAVE_MS_MAX,
        });
      } catch (error) {
        log(`this agent could not take leave, and is taken for gone after a while: ${toLeatError(error).message}`);
      }
    },
  };
}
