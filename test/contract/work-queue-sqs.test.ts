import type { SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sqsInboxes } from '#functions/drivers/sqs-inboxes.ts';
import { sqsClient, sqsWorkQueue } from '#functions/drivers/sqs.ts';
import { MINISTACK } from '../support/dynamodb-engine.ts';
import type { DynamoEngine } from '../support/dynamodb-local.ts';
import { workQueueContract } from './work-queue.contract.ts';

describe.skipIf(!MINISTACK.isThere())(`on ${MINISTACK.name}`, () => {
  let engine: DynamoEngine | undefined;
  let client: SQSClient;
  let queues = 0;
  beforeAll(async () => {
    engine = await MINISTACK.start();
    Object.assign(process.env, {
      AWS_ENDPOINT_URL_SQS: engine?.endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    });
    client = sqsClient();
  });
  afterAll(async () => {
    client.destroy();
    await engine?.stop();
  });
  const inboxes = () => sqsInboxes({ client, name: 'test' });

  workQueueContract('sqs', async () => sqsWorkQueue({ client, url: await inboxes().open(`q${++queues}`) }));

  it('makes the same inbox for the same agent, and removes it once or twice', async () => {
    const url = await inboxes().open('agent-1');
    expect(await inboxes().open('agent-1')).toBe(url);
    const queue = sqsWorkQueue({ client, url });
    await queue.send(['a']);
    await inboxes().remove(url);
    await inboxes().remove(url);
    await expect(queue.send(['b'])).rejects.toMatchObject({ kind: 'notFound' });
    await expect(queue.receive({ limit: 1, waitMs: 0, holdMs: 1000 })).rejects.toMatchObject({ kind: 'notFound' });
  });
});
