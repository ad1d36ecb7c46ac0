import { CreateQueueCommand, DeleteQueueCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { LeatError } from '#shared/model/faults.ts';
import type { Inboxes } from '#shared/namespace/agents.ts';

/** An agent that has been away for longer reads the log. */
const RETENTION_SECONDS = 3600;

/** The inboxes of a deployment's agents: a queue each, whose address is its URL. */
export function sqsInboxes({ client, name }: { readonly client: SQSClient; readonly name: string }): Inboxes {
  return {
    async open(id) {
      const QueueName = `leat-${name}-agent-${id}`;
      const Attributes = { MessageRetentionPeriod: String(RETENTION_SECONDS), SqsManagedSseEnabled: 'true' };
      const { QueueUrl: url } = await client
        .send(new CreateQueueCommand({ QueueName, Attributes }))
        .catch((cause: unknown) => {
          const next = 'a queue that was removed less than a minute ago cannot be made again yet; try again';
          throw new LeatError('unavailable', `inbox ${QueueName} could not be made (${String(cause)}): ${next}`, {
            cause,
          });
        });
      if (url === undefined)
        throw new LeatError('unavailable', `inbox ${QueueName}: SQS gave it no address; try again`);
      return url;
    },
    async remove(inbox) {
      await client.send(new DeleteQueueCommand({ QueueUrl: inbox })).catch((cause: unknown) => {
        if (cause instanceof Error && /QueueDoesNotExist|NonExistentQueue/.test(cause.name)) return;
        throw new LeatError('unavailable', `${inbox}: could not be removed: ${String(cause)}`, { cause });
      });
    },
  };
}
