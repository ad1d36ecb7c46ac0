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

export interface RequestCount {
  /** Tries that failed included. */
  requests: number;
  /** What they named: keys of a batch, items of a transaction; of other kinds one each. */
  items: number;
  /**
   * What the answers said was consumed. Local engines say it of single items alone: they have 2 for any transaction, which
   * costs 2 for each KB of each item, and too little for batches.
   */
  capacityUnits: number;
}

/** By the name of the kind, as `GetItem`. */
export type RequestCounts = Map<string, RequestCount>;

interface Capacity {
  readonly CapacityUnits?: number | undefined;
}

interface Named {
  readonly TransactItems?: readonly unknown[];
  readonly RequestItems?: Readonly<Record<string, { readonly Keys?: readonly unknown[] }>>;
}

/** Counts what a client sends from now on, and asks DynamoDB what it charges. */
export function countRequests(client: DynamoDBClient): RequestCounts {
  const counts: RequestCounts = new Map();
  client.middlewareStack.add(
    (next, { commandName = 'unknown' }) =>
      async (args) => {
        const kind = commandName.replace(/Command$/, '');
        const count = counts.get(kind) ?? { requests: 0, items: 0, capacityUnits: 0 };
        counts.set(kind, count);
        count.requests++;
        count.items += itemsOf(args.input as Named);
        const input = { ...args.input, ReturnConsumedCapacity: 'TOTAL' } as typeof args.input;
        const result = await next({ ...args, input });
        const { ConsumedCapacity: consumed = [] } = result.output as { ConsumedCapacity?: Capacity | Capacity[] };
        for (const { CapacityUnits = 0 } of [consumed].flat()) count.capacityUnits += CapacityUnits;
        return result;
      },
    { step: 'initialize', name: 'countRequests' },
  );
  return counts;
}

function itemsOf({ TransactItems, RequestItems }: Named): number {
  if (TransactItems) return TransactItems.length;
  if (!RequestItems) return 1;
  return Object.values(RequestItems).reduce((sum, { Keys = [] }) => sum + Keys.length, 0);
}
