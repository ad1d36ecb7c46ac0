import {
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  type BatchResultErrorEntry,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { invariant, isFault, LeatError } from '#shared/model/faults.ts';
import {
  DELIVERIES_MAX,
  type Delivery,
  MESSAGE_BYTES_MAX,
  WAIT_MS_MAX,
  type WorkQueue,
} from '#shared/ports/work-queue.ts';

/** Of one request, whatever it does. */
const BATCH_ENTRIES_MAX = 10;
const BATCH_BYTES_MAX = MESSAGE_BYTES_MAX;
const SEND_ATTEMPTS_MAX = 4;
const SDK_ATTEMPTS_MAX = 4;
const STALE = /ReceiptHandleIsInvalid|MessageNotInflight|InvalidParameterValue/;
const CONNECT_MS_MAX = 2000;
/** Beyond what a receiver waits for. */
const ANSWER_MS_MAX = 10_000;

export interface SqsQueue {
  readonly client: SQSClient;
  readonly url: string;
}

/** Endpoint, region and credentials come from the environment. Connects when it is first used. */
export function sqsClient(): SQSClient {
  // A queue's address may be one that only its own network knows: where to send is for the environment to say.
  return new SQSClient({
    useQueueUrlAsEndpoint: false,
    maxAttempts: SDK_ATTEMPTS_MAX,
    requestHandler: {
      connectionTimeout: CONNECT_MS_MAX,
      requestTimeout: WAIT_MS_MAX + ANSWER_MS_MAX,
      throwOnRequestTimeout: true,
    },
  });
}

export function sqsWorkQueue({ client, url }: SqsQueue): WorkQueue {
  return {
    async send(bodies, { delayMs = 0 } = {}) {
      for (const batch of batchesOf(bodies)) await sendBatch({ client, url }, batch, Math.ceil(delayMs / 1000));
    },
    async receive({ limit, waitMs, holdMs, signal }) {
      invariant(limit <= DELIVERIES_MAX, `${limit} messages at a time, over ${DELIVERIES_MAX}`);
      const command = new ReceiveMessageCommand({
        QueueUrl: url,
        MaxNumberOfMessages: limit,
        WaitTimeSeconds: Math.ceil(waitMs / 1000),
        VisibilityTimeout: Math.ceil(holdMs / 1000),
        MessageSystemAttributeNames: ['ApproximateReceiveCount'],
      });
      if (signal?.aborted) return [];
      try {
        const { Messages: messages = [] } = await client.send(command, signal ? { abortSignal: signal } : {});
        return messages.map(({ Body: body = '', ReceiptHandle: receipt = '', Attributes: attributes }) => {
          return { body, receipt, times: Number(attributes?.ApproximateReceiveCount ?? 1) };
        });
      } catch (error) {
        if (signal?.aborted) return [];
        throw refused(url, 'receive', error);
      }
    },
    async done(deliveries) {
      for (const batch of tens(deliveries)) await ignoringStale(url, 'delete', deletion({ client, url }, batch));
    },
    async hold(deliveries, holdMs) {
      const seconds = Math.ceil(holdMs / 1000);
      for (const batch of tens(deliveries)) await ignoringStale(url, 'hold', holding({ client, url }, batch, seconds));
    },
  };
}

// A single message is no batch: the request is shorter, and there are engines whose policies know batches by names of their own.

async function sendBatch({ client, url }: SqsQueue, bodies: readonly string[], DelaySeconds: number): Promise<void> {
  const [MessageBody, more] = bodies;
  if (MessageBody !== undefined && more === undefined) {
    await client.send(new SendMessageCommand({ QueueUrl: url, MessageBody, DelaySeconds })).catch(refuse(url, 'send'));
    return;
  }
  let open = bodies;
  let why = '';
  // SQS takes a batch in part: the rest is sent again.
  for (let i = 0; i < SEND_ATTEMPTS_MAX && open.length > 0; i++) {
    const Entries = open.map((body, at) => ({ Id: String(at), MessageBody: body, DelaySeconds }));
    const command = new SendMessageBatchCommand({ QueueUrl: url, Entries });
    const { Failed = [] } = await client.send(command).catch(refuse(url, 'send'));
    why = Failed[0]?.Message ?? Failed[0]?.Code ?? '';
    const failed = new Set(Failed.map(({ Id }) => Number(Id)));
    open = open.filter((_, at) => failed.has(at));
  }
  if (open.length === 0) return;
  throw new LeatError('unavailable', `${url}: ${open.length} messages could not be sent (${why}); send them again`);
}

interface BatchAnswer {
  readonly Failed?: readonly BatchResultErrorEntry[] | undefined;
}

async function deletion({ client, url }: SqsQueue, [first, ...more]: readonly Delivery[]): Promise<BatchAnswer> {
  const QueueUrl = url;
  if (more.length === 0) {
    await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: first?.receipt }));
    return {};
  }
  const Entries = [first, ...more].map((each, i) => ({ Id: String(i), ReceiptHandle: each?.receipt }));
  return client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
}

async function holding(
  { client, url }: SqsQueue,
  [first, ...more]: readonly Delivery[],
  VisibilityTimeout: number,
): Promise<BatchAnswer> {
  const QueueUrl = url;
  if (more.length === 0) {
    const ReceiptHandle = first?.receipt;
    await client.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout }));
    return {};
  }
  const Entries = [first, ...more].map((each, i) => {
    return { Id: String(i), ReceiptHandle: each?.receipt, VisibilityTimeout };
  });
  return client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries }));
}

/** The sender's fault is a receipt that is not good any more: the hold is over, or it is done. */
async function ignoringStale(url: string, what: string, sent: Promise<BatchAnswer>): Promise<void> {
  try {
    const ofServer = (await sent).Failed?.find(({ SenderFault }) => SenderFault !== true);
    if (!ofServer) return;
    throw new LeatError('unavailable', `${url}: ${what}: ${ofServer.Message ?? ofServer.Code}; try again`);
  } catch (error) {
    if (error instanceof Error && STALE.test(error.name)) return;
    throw refused(url, what, error);
  }
}

function batchesOf(bodies: readonly string[]): string[][] {
  const batches: string[][] = [];
  let bytes = Infinity;
  for (const body of bodies) {
    const size = Buffer.byteLength(body);
    if (size > MESSAGE_BYTES_MAX) {
      throw new LeatError('tooLarge', `a message of ${size} bytes: a queue takes ${MESSAGE_BYTES_MAX} at most`);
    }
    const last = batches.at(-1);
    if (last && last.length < BATCH_ENTRIES_MAX && bytes + size <= BATCH_BYTES_MAX) {
      last.push(body);
      bytes += size;
    } else {
      batches.push([body]);
      bytes = size;
    }
  }
  return batches;
}

function tens(deliveries: readonly Delivery[]): Delivery[][] {
  const count = Math.ceil(deliveries.length / BATCH_ENTRIES_MAX);
  return Array.from({ length: count }, (_, i) => deliveries.slice(i * BATCH_ENTRIES_MAX, (i + 1) * BATCH_ENTRIES_MAX));
}

const refuse =
  (url: string, what: string) =>
  (error: unknown): never => {
    throw refused(url, what, error);
  };

function refused(url: string, what: string, cause: unknown): LeatError {
  if (isFault(cause)) return cause;
  const name = cause instanceof Error ? cause.name : '';
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/QueueDoesNotExist|NonExistentQueue/.test(name)) {
    return new LeatError('notFound', `${url}: there is no such queue (any more)`, { cause });
  }
  const kind = /AccessDenied|InvalidSecurity/.test(name) ? 'denied' : 'unavailable';
  return new LeatError(kind, `${url}: ${what}: ${message}`, { cause });
}
