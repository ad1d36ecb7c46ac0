import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';

const CONNECTIONS_MAX = 64;
/** Also the longest wait for a connection of the pool. */
const CONNECT_MS_MAX = 3000;
/** DynamoDB answers within tens of milliseconds, or not at all: a lost answer is better asked for again. */
const REQUEST_MS_MAX = 3000;

export interface DynamoClientOptions {
  readonly connectionsMax?: number;
  readonly requestMsMax?: number;
  /** Of an engine that the environment does not name. */
  readonly endpoint?: string;
}

/** Region, credentials and endpoint come from the environment. Connects when it is first used, and keeps its connections. */
export function dynamoClient({
  connectionsMax = CONNECTIONS_MAX,
  requestMsMax = REQUEST_MS_MAX,
  endpoint,
}: DynamoClientOptions = {}): DynamoDBClient {
  const agent = { keepAlive: true, maxSockets: connectionsMax };
  return new DynamoDBClient({
    ...(endpoint !== undefined && { endpoint }),
    // `tried` tries again; it has to know which tries failed how.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECT_MS_MAX,
      requestTimeout: requestMsMax,
      throwOnRequestTimeout: true,
      httpAgent: new Agent(agent),
      httpsAgent: new TlsAgent(agent),
    },
  });
}

export interface RequestCounts {
  /** Requests sent by the name of their kind (`GetItem`), tries that failed included. */
  readonly requests: Map<string, number>;
  /** Capacity units that their answers said were consumed. */
  capacityUnits: number;
}

interface Capacity {
  readonly CapacityUnits?: number | undefined;
}

/** Counts what a client sends from now on, and asks DynamoDB what it charges. */
export function countRequests(client: DynamoDBClient): RequestCounts {
  const counts: RequestCounts = { requests: new Map(), capacityUnits: 0 };
  client.middlewareStack.add(
    (next, { commandName = 'unknown' }) =>
      async (args) => {
        const kind = commandName.replace(/Command$/, '');
        counts.requests.set(kind, (counts.requests.get(kind) ?? 0) + 1);
        const result = await next({
          ...args,
          input: { ...args.input, ReturnConsumedCapacity: 'TOTAL' } as typeof args.input,
        });
        const { ConsumedCapacity: consumed = [] } = result.output as { ConsumedCapacity?: Capacity | Capacity[] };
        for (const { CapacityUnits = 0 } of [consumed].flat()) counts.capacityUnits += CapacityUnits;
        return result;
      },
    { step: 'initialize', name: 'countRequests' },
  );
  return counts;
}
