import { DynamoDBServiceException } from '@aws-sdk/client-dynamodb';
import { expect, it } from 'vitest';
import { dynamoClient } from './dynamodb-client.ts';
import { tried } from './dynamodb-tries.ts';

async function failure(name: string): Promise<unknown> {
  const error = new DynamoDBServiceException({
    name,
    message: 'no',
    $fault: 'client',
    $metadata: { httpStatusCode: 400 },
  });
  const client = dynamoClient({ endpoint: 'http://127.0.0.1:1' });
  const deps = { client, table: 't', clock: Date.now, sleep: async () => {}, random: () => 0 };
  return tried(deps, { what: 'GetItem', send: () => Promise.reject(error) }).catch((reason: unknown) => reason);
}

it.each([
  ['AccessDeniedException', 'denied'],
  ['UnrecognizedClientException', 'denied'],
  ['ResourceNotFoundException', 'unavailable'],
  ['ThrottlingException', 'unavailable'],
])('%s is told as %s', async (name, kind) => {
  expect(await failure(name)).toMatchObject({ kind, message: expect.stringContaining(name) as string });
});
