import { Duration } from 'aws-cdk-lib';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { except } from './exceptions.ts';

/** SQS's longest: a dead letter waits for a person. */
const DEAD_LETTER_RETENTION = Duration.days(14);
const RECEIVES_MAX = 5;
/** AWS asks for six times the consumer's time-out, so that a message is not seen again while it is worked on. */
const VISIBILITY_TIMEOUTS = 6;

/** A queue that keeps what could not be done after five tries. */
export interface WorkQueue {
  readonly queue: Queue;
  readonly deadLetters: Queue;
}

export function workQueue(scope: Construct, id: string, consumerTimeout: Duration): WorkQueue {
  const deadLetters = deadLetterQueue(scope, `${id}DeadLetters`);
  const queue = new Queue(scope, `${id}Queue`, {
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: DEAD_LETTER_RETENTION,
    visibilityTimeout: Duration.seconds(consumerTimeout.toSeconds() * VISIBILITY_TIMEOUTS),
    deadLetterQueue: { queue: deadLetters, maxReceiveCount: RECEIVES_MAX },
  });
  return { queue, deadLetters };
}

export function deadLetterQueue(scope: Construct, id: string): Queue {
  const queue = new Queue(scope, id, {
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: DEAD_LETTER_RETENTION,
  });
  // It is itself the end: what lies in it waits for a person, and its depth rings.
  except(queue, 'SQS3', 'Holds what an event source mapping gave up, which cdk-nag does not see.');
  return queue;
}
