import { BatchGetItemCommand, GetItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { LeatError } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import { type Name, toText } from '#shared/model/names.ts';
import { inLanes } from '#shared/namespace/lanes.ts';
import { keyText, type ListedRow, type Metastore, type RowKey } from '#shared/ports/metastore.ts';
import { commit } from './dynamodb-commit.ts';
import { type Item, keyItem, keyOf, nameBytes, nameOf, rowOf } from './dynamodb-items.ts';
import { backoff, type DynamoDeps, isOutOfTries, tried } from './dynamodb-tries.ts';

/** Of one BatchGetItem. */
const BATCH_KEYS_MAX = 100;
/** The rest waits, and leaves connections to others. */
const BATCHES_AT_ONCE_MAX = 16;
/** Of one Query. DynamoDB ends a page at 1 MB in any case. */
const PAGE_ROWS_MAX = 10_000;

/**
 * Rows in one DynamoDB table, for any number of processes at once. All reads are consistent. `log` hears what had to be given
 * up. A change's `source` shows in the stream with the item that it wrote; a removal leaves none that could carry it.
 *
 * A known limit of every conditional write without a transaction: a try whose answer was lost may still be under way when the
 * next one has succeeded, and a put that demands absence would then be applied again if the row is removed before it arrives.
 */
export function dynamoMetastore(deps: DynamoDeps): Metastore {
  const readOne = (key: RowKey) => getOne(deps, key);
  const commitDeps = { ...deps, read: readOne };
  return {
    async get(keys) {
      const [first] = keys;
      if (!first) return [];
      const distinct = new Map(keys.map((key) => [keyText(key), key]));
      if (distinct.size === 1) {
        const row = await readOne(first);
        return keys.map(() => row);
      }
      const rows = await getMany(deps, [...distinct.values()]);
      return keys.map((key) => rows.get(keyText(key)));
    },
    list: (directory, options) => list(deps, directory, options),
    commit: (changes, options = {}) => commit(commitDeps, changes, options),
    /** DynamoDB answers a write when two of three places have it on disk. */
    async flushed() {},
    async close() {
      deps.client.destroy();
    },
  };
}

async function getOne(deps: DynamoDeps, key: RowKey): Promise<Row | undefined> {
  const command = new GetItemCommand({
    TableName: deps.table,
    Key: keyItem(key),
    ConsistentRead: true,
    ProjectionExpression: 'r',
  });
  const what = `GetItem of '${toText(key.name)}'`;
  const { Item: item } = await tried(deps, { what, send: () => deps.client.send(command) });
  return item && rowOf(item);
}

async function getMany(deps: DynamoDeps, keys: readonly RowKey[]): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  const batches: RowKey[][] = [];
  for (let at = 0; at < keys.length; at += BATCH_KEYS_MAX) batches.push(keys.slice(at, at + BATCH_KEYS_MAX));
  await inLanes(batches, BATCHES_AT_ONCE_MAX, (batch) => getBatch(deps, batch, rows));
  return rows;
}

/** What DynamoDB leaves unprocessed, because of 16 MB or of throttling, is asked for again; waiting only where nothing came. */
async function getBatch(deps: DynamoDeps, keys: readonly RowKey[], rows: Map<string, Row>): Promise<void> {
  const { client, table } = deps;
  let open: Item[] = keys.map(keyItem);
  for (let fruitless = 0; open.length > 0;) {
    const asked = { Keys: open, ConsistentRead: true, ProjectionExpression: 'd, n, r' };
    const command = new BatchGetItemCommand({ RequestItems: { [table]: asked } });
    const what = `BatchGetItem of ${open.length} keys`;
    const { Responses, UnprocessedKeys } = await tried(deps, { what, send: () => client.send(command) });
    for (const item of Responses?.[table] ?? []) rows.set(keyText(keyOf(item)), rowOf(item));
    const left = UnprocessedKeys?.[table]?.Keys ?? [];
    fruitless = left.length < open.length ? 0 : fruitless + 1;
    open = left;
    if (isOutOfTries(fruitless)) {
      const said = `left ${left.length} keys unprocessed ${fruitless} times`;
      throw new LeatError('unavailable', `table ${table}: BatchGetItem ${said}: it is throttled; try again later`);
    }
    if (open.length > 0) await backoff(deps, fruitless + 1);
  }
}

interface ListOptions {
  readonly after?: Name;
  readonly limit: number;
}

async function list(deps: DynamoDeps, directory: InodeId, { after, limit }: ListOptions): Promise<ListedRow[]> {
  const { client, table } = deps;
  const { d } = keyItem({ directory, name: '' as Name });
  const rows: ListedRow[] = [];
  let start: Item | undefined;
  while (rows.length < limit) {
    const command = new QueryCommand({
      TableName: table,
      ConsistentRead: true,
      ProjectionExpression: 'n, r',
      Limit: Math.min(limit - rows.length, PAGE_ROWS_MAX),
      ExclusiveStartKey: start,
      KeyConditionExpression: after === undefined ? 'd = :d' : 'd = :d AND n > :n',
      ExpressionAttributeValues: after === undefined ? { ':d': d } : { ':d': d, ':n': { B: nameBytes(after) } },
    });
    const what = `Query of a directory after '${toText(rows.at(-1)?.name ?? after ?? '')}'`;
    const page = await tried(deps, { what, send: () => client.send(command) });
    for (const item of page.Items ?? []) rows.push({ name: nameOf(item), row: rowOf(item) });
    start = page.LastEvaluatedKey;
    if (!start) break;
  }
  return rows;
}
