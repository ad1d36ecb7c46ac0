import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  PutItemCommand,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import { randomUUID } from 'node:crypto';
import { invariant, LeatError } from '#shared/model/faults.ts';
import { TOKENS } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import { type Name, toText } from '#shared/model/names.ts';
import { encodeRow } from '#shared/model/row-codec.ts';
import {
  type Change,
  CHANGES_MAX,
  type CommitOptions,
  type CommitResult,
  TOKEN_LIFE_MS,
} from '#shared/ports/metastore.ts';
import { conditionFields, holds, idOf, type Item, itemBytes, keyItem, toItem } from './dynamodb-items.ts';
import { type DynamoDeps, isRetriedReason, reasonsOf, tried } from './dynamodb-tries.ts';

/** Of all items that one transaction touches. */
const TRANSACTION_BYTES_MAX = 4 * 1024 * 1024;
const COMMITTED: CommitResult = { committed: true };

type Put = Extract<Change, { act: 'put' }>;
type Remove = Extract<Change, { act: 'remove' }>;
type ReadRow = (key: Change['key']) => Promise<Row | undefined>;

interface Deps extends DynamoDeps {
  readonly read: ReadRow;
}

/**
 * One change is a conditional write of one item: a fraction of the price of a transaction, and never in the way of another.
 * Everything else is a transaction.
 */
export async function commit(deps: Deps, changes: readonly Change[], options: CommitOptions): Promise<CommitResult> {
  const count = changes.length + (options.token === undefined ? 0 : 1);
  invariant(count <= CHANGES_MAX, `a commit of ${count} changes, over ${CHANGES_MAX}`);
  const [first] = changes;
  if (options.token !== undefined) return transact(deps, changes, options);
  if (!first) return COMMITTED;
  if (changes.length > 1) return transact(deps, changes, options);
  if (first.act === 'put') return putOne(deps, first, options);
  // To take away what is to be absent already is only to look.
  if (first.act === 'remove' && first.when !== 'absent') return removeOne(deps, first);
  const isHeld = first.when === 'any' || holds(first.when, await deps.read(first.key));
  return isHeld ? COMMITTED : { committed: false, failed: [0] };
}

async function putOne(deps: Deps, change: Put, { source }: CommitOptions): Promise<CommitResult> {
  const { client, table: TableName } = deps;
  const command = new PutItemCommand({
    TableName,
    Item: toItem(change.key, change.row, source),
    ...conditionFields(change.when),
  });
  return tried(deps, {
    what: `PutItem of '${toText(change.key.name)}'`,
    send: () => client.send(command).then(() => COMMITTED),
    judge: (error, isInDoubt) => judgeOne({ deps, change, isInDoubt, wasApplied: wasPut }, error),
  });
}

async function removeOne(deps: Deps, change: Remove): Promise<CommitResult> {
  const { client, table: TableName } = deps;
  const command = new DeleteItemCommand({ TableName, Key: keyItem(change.key), ...conditionFields(change.when) });
  return tried(deps, {
    what: `DeleteItem of '${toText(change.key.name)}'`,
    send: () => client.send(command).then(() => COMMITTED),
    judge: (error, isInDoubt) => judgeOne({ deps, change, isInDoubt, wasApplied: wasRemoved }, error),
  });
}

interface Judged<One extends Put | Remove> {
  readonly deps: Deps;
  readonly change: One;
  readonly isInDoubt: boolean;
  /** By the row that is there now. Undefined: that cannot be told. */
  readonly wasApplied: (change: One, now: Row | undefined) => boolean | undefined;
}

/** A condition that fails after a try whose answer was lost may have been made to fail by that very try. */
async function judgeOne<One extends Put | Remove>(
  { deps, change, isInDoubt, wasApplied }: Judged<One>,
  error: unknown,
): Promise<CommitResult | undefined> {
  if (!(error instanceof ConditionalCheckFailedException)) return undefined;
  if (!isInDoubt) return { committed: false, failed: [0] };
  const answer = wasApplied(change, await deps.read(change.key));
  if (answer !== undefined) return answer ? COMMITTED : { committed: false, failed: [0] };
  const what = `the answer to a change of '${toText(change.key.name)}' was lost, and others have changed it since`;
  const message = `table ${deps.table}: ${what}: whether ours was applied is not known; look at it and decide anew`;
  deps.log?.(message);
  throw new LeatError('unavailable', message, { cause: error });
}

/**
 * The row that we put is ours to the byte: inodes carry an id that nobody else draws. Where another one stands at the version
 * that ours would have had, ours never stood there, because each write of a row counts its version up by one. Anything else
 * may have been written over ours, or in its place.
 */
function wasPut({ when, row }: Put, now: Row | undefined): boolean | undefined {
  if (now && Buffer.compare(encodeRow(now), encodeRow(row)) === 0) return true;
  const isRewrite = typeof when === 'object' && now !== undefined && idOf(now) === idOf(row);
  return isRewrite && now.version === row.version ? false : undefined;
}

/**
 * Gone is taken for done: exactly the version that we were to remove is there no more. What may differ from the truth: our
 * tries may all have been lost while somebody else removed the row, or moved it to another name, in the same seconds; then
 * two are told that they have taken it away, as after a lost answer of NFS. The same inode, still there, was not removed.
 */
function wasRemoved({ when }: Remove, now: Row | undefined): boolean | undefined {
  if (now === undefined) return true;
  return typeof when === 'object' && when.id !== undefined && idOf(now) === when.id ? false : undefined;
}

interface Part {
  /** Among the changes; -1 is the token's record. */
  readonly position: number;
  readonly item: TransactWriteItem;
}

const TOKEN_POSITION = -1;

/** `ClientRequestToken` makes our own tries one: that of a try that was applied answers again as it did, for ten minutes. */
async function transact(deps: Deps, changes: readonly Change[], options: CommitOptions): Promise<CommitResult> {
  const { client, table } = deps;
  const parts = [...changes.flatMap((change, i) => partOf(table, change, i, options)), ...tokenPart(deps, options)];
  if (parts.length === 0) return COMMITTED;
  demandSize(parts, changes);
  const command = new TransactWriteItemsCommand({
    TransactItems: parts.map(({ item }) => item),
    ClientRequestToken: randomUUID(),
  });
  return tried(deps, {
    what: `TransactWriteItems of ${parts.length} items`,
    send: () => client.send(command).then(() => COMMITTED),
    judge: async (error) =>
      error instanceof TransactionCanceledException ? judgeAll(parts, reasonsOf(error)) : undefined,
  });
}

/** A condition that failed is an answer, even where other items were in conflict; but a token in conflict may just be committing. */
function judgeAll(parts: readonly Part[], reasons: readonly string[]): CommitResult | undefined {
  const failed: number[] = [];
  for (const [i, { position }] of parts.entries()) {
    const reason = reasons[i];
    if (position === TOKEN_POSITION && isRetriedReason(reason)) return undefined;
    if (reason === 'ConditionalCheckFailed') failed.push(position);
  }
  if (failed.includes(TOKEN_POSITION)) return COMMITTED;
  return failed.length > 0 ? { committed: false, failed } : undefined;
}

/** None of a check of nothing. */
function partOf(TableName: string, change: Change, position: number, { source }: CommitOptions): Part[] {
  const { act, key, when } = change;
  const { ConditionExpression, ...values } = conditionFields(when);
  if (act === 'put') {
    const item = { TableName, Item: toItem(key, change.row, source), ...values };
    return [{ position, item: { Put: ConditionExpression ? { ...item, ConditionExpression } : item } }];
  }
  const item = { TableName, Key: keyItem(key), ...values };
  if (act === 'remove')
    return [{ position, item: { Delete: ConditionExpression ? { ...item, ConditionExpression } : item } }];
  return ConditionExpression ? [{ position, item: { ConditionCheck: { ...item, ConditionExpression } } }] : [];
}

/** The table's TTL takes dead tokens away days late, so whether one is alive is asked of the clock. */
function tokenPart({ table: TableName, clock }: Deps, { token }: CommitOptions): Part[] {
  if (token === undefined) return [];
  const now = clock();
  const row: Row = { kind: 'record', version: 1, body: '', expiresAt: now + TOKEN_LIFE_MS };
  const Put = {
    TableName,
    Item: toItem({ directory: TOKENS, name: token as Name }, row, undefined),
    ConditionExpression: 'attribute_not_exists(d) OR x <= :now',
    ExpressionAttributeValues: { ':now': { N: String(Math.floor(now / 1000)) } },
  };
  return [{ position: TOKEN_POSITION, item: { Put } }];
}

function demandSize(parts: readonly Part[], changes: readonly Change[]): void {
  const sizeOf = ({ item }: Part) => itemBytes((item.Put?.Item ?? {}) as Item);
  const size = parts.reduce((sum, part) => sum + sizeOf(part), 0);
  if (size <= TRANSACTION_BYTES_MAX) return;
  const largest = parts.reduce((a, b) => (sizeOf(b) > sizeOf(a) ? b : a));
  const name = toText(changes[largest.position]?.key.name ?? '');
  const what = `a transaction with this row, its largest, and ${parts.length - 1} more would take ${size} bytes`;
  throw new LeatError('tooLarge', `'${name}': ${what}, over ${TRANSACTION_BYTES_MAX}; commit them in smaller parts`);
}
