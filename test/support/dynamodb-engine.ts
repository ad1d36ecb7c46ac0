import { CreateTableCommand, type DynamoDBClient, UpdateTimeToLiveCommand } from '@aws-sdk/client-dynamodb';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { dynamoClient } from '#functions/drivers/dynamodb-client.ts';
import { dynamoMetastore } from '#functions/drivers/dynamodb.ts';
import { ensureMinistack } from '../../localstack/ministack.ts';
import { type DynamoEngine, ensureDynamoDbLocal, startDynamoDbLocal } from './dynamodb-local.ts';
import { startMinistack } from './ministack.ts';

interface EngineKind {
  readonly name: string;
  /** Where it cannot be installed, its tests are skipped. */
  isThere(): boolean;
  start(): Promise<DynamoEngine | undefined>;
}

export const DYNAMODB_LOCAL: EngineKind = {
  name: 'DynamoDB Local',
  isThere: () => ensureDynamoDbLocal() !== undefined,
  start: startDynamoDbLocal,
};
export const MINISTACK: EngineKind = {
  name: 'ministack',
  isThere: () => ensureMinistack() !== undefined,
  start: startMinistack,
};

/** The most faithful one that there is here. */
export const ANY_ENGINE: EngineKind = DYNAMODB_LOCAL.isThere() ? DYNAMODB_LOCAL : MINISTACK;

/** What the SDK looks for, and nothing of what the machine has set. */
const ENGINE_ENV = {
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_EC2_METADATA_DISABLED: 'true',
};

/** An engine for the tests of a file or group: started before them, stopped after them. Each `newTable` is an empty table. */
export function dynamoTables(kind: EngineKind) {
  const clients: DynamoDBClient[] = [];
  let engine: DynamoEngine | undefined;
  let tables = 0;
  beforeAll(async () => {
    Object.assign(process.env, ENGINE_ENV);
    engine = await kind.start();
  });
  afterAll(async () => {
    for (const client of clients) client.destroy();
    await engine?.stop();
  });
  /** `endpoint`: of a proxy before the engine. */
  const newClient = (options: { readonly endpoint?: string; readonly requestMsMax?: number } = {}) => {
    const client = dynamoClient({ endpoint: engine?.endpoint ?? '', ...options });
    clients.push(client);
    return client;
  };
  return {
    newClient,
    endpoint: () => engine?.endpoint ?? '',
    async newTable() {
      const client = newClient();
      const table = `leat-${++tables}`;
      // An engine that has just started takes its time for the first.
      await createTable(newClient({ requestMsMax: 30_000 }), table);
      let now = Date.now();
      const clock = () => now;
      const deps = { client, table, clock, sleep, random: Math.random };
      return { ...deps, metastore: dynamoMetastore(deps), advance: (ms: number) => void (now += ms) };
    },
  };
}

/** As the stack makes it. */
export async function createTable(client: DynamoDBClient, table: string): Promise<void> {
  await client.send(
    new CreateTableCommand({
      TableName: table,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [
        { AttributeName: 'd', AttributeType: 'B' },
        { AttributeName: 'n', AttributeType: 'B' },
      ],
      KeySchema: [
        { AttributeName: 'd', KeyType: 'HASH' },
        { AttributeName: 'n', KeyType: 'RANGE' },
      ],
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
    }),
  );
  const ttl = { Enabled: true, AttributeName: 'x' };
  await client.send(new UpdateTimeToLiveCommand({ TableName: table, TimeToLiveSpecification: ttl }));
}
