import { DescribeTableCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import aws4 from 'aws4';
import type { StreamRecord } from '#functions/feed/stream-records.ts';

interface Shards {
  readonly StreamDescription: { readonly Shards: readonly { readonly ShardId: string }[] };
}

/**
 * The stream of a table as Lambda's poller reads it, from its beginning: the same JSON reaches the function. Each call answers
 * what has come since the last.
 */
export async function tableStream(client: DynamoDBClient, table: string): Promise<() => Promise<StreamRecord[]>> {
  const { Table } = await client.send(new DescribeTableCommand({ TableName: table }));
  const StreamArn = Table?.LatestStreamArn;
  const iterators = new Map<string, string | undefined>();
  const openShards = async () => {
    const { StreamDescription } = (await ask(client, 'DescribeStream', { StreamArn })) as Shards;
    for (const { ShardId } of StreamDescription.Shards) {
      if (iterators.has(ShardId)) continue;
      const from = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' };
      const { ShardIterator } = (await ask(client, 'GetShardIterator', from)) as { readonly ShardIterator: string };
      iterators.set(ShardId, ShardIterator);
    }
  };
  return async () => {
    await openShards();
    const found: StreamRecord[] = [];
    for (const [shard, ShardIterator] of iterators) {
      if (ShardIterator === undefined) continue;
      const answer = await ask(client, 'GetRecords', { ShardIterator });
      const { Records = [], NextShardIterator } = answer as {
        readonly Records?: readonly StreamRecord[];
        readonly NextShardIterator?: string;
      };
      found.push(...Records);
      iterators.set(shard, NextShardIterator);
    }
    return found;
  };
}

/** The SDK has a package of its own for it, which would read binary attributes into bytes, unlike Lambda. */
async function ask({ config }: DynamoDBClient, action: string, input: object): Promise<unknown> {
  const { protocol, hostname, port } = (await config.endpoint?.()) ?? { protocol: 'http:', hostname: '127.0.0.1' };
  const credentials = await config.credentials();
  const host = `${hostname}:${port}`;
  const body = JSON.stringify(input);
  const headers = {
    'content-type': 'application/x-amz-json-1.0',
    'x-amz-target': `DynamoDBStreams_20120810.${action}`,
  };
  const region = await config.region();
  const request = { service: 'dynamodb', region, host, method: 'POST', path: '/', body, headers };
  const { headers: signed } = aws4.sign(request, credentials);
  const answer = await fetch(`${protocol}//${host}/`, {
    method: 'POST',
    headers: signed as Record<string, string>,
    body,
  });
  if (!answer.ok) throw new Error(`${action}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
