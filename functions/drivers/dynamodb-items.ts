import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { invariant, LeatError } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import { type Name, toText } from '#shared/model/names.ts';
import { decodeRow, encodeRow } from '#shared/model/row-codec.ts';
import type { Condition, RowKey } from '#shared/ports/metastore.ts';

/**
 * One row as an item of the table. Attribute names are one letter because they are stored, and paid for, in every item.
 *
 *     d B  directory id, partition key        v N  row version         x N  end of a record's life, whole seconds (TTL)
 *     n B  name, sort key; '' is one 0x00     i B  id of the inode     s S  who made the change, for the stream
 *     r B  the row, as in every metastore
 *
 * `v` and `i` repeat what `r` holds, because conditions cannot look into it.
 */
export type Item = Record<string, AttributeValue>;

const ITEM_BYTES_MAX = 400 * 1024;
/** DynamoDB orders and keys by bytes, but refuses empty ones. No name that could be confused with it begins with a NUL. */
const EMPTY_NAME = '\0';
/** What a number takes at most, with its attribute's name and that of `s`: a bound, not the sum that DynamoDB forms. */
const NUMBER_BYTES = 22;

export function keyItem({ directory, name }: RowKey): { d: AttributeValue; n: AttributeValue } {
  return { d: { B: toBytes(directory) }, n: { B: nameBytes(name) } };
}

export function nameBytes(name: Name): Uint8Array {
  invariant(name !== EMPTY_NAME, 'a name of one NUL, which stands for the empty one');
  return toBytes(name === '' ? EMPTY_NAME : name);
}

/** Refuses what DynamoDB would refuse, but with the name of the row. */
export function toItem(key: RowKey, row: Row, source: string | undefined): Item {
  const bytes = encodeRow(row);
  const item: Item = { ...keyItem(key), r: { B: bytes }, v: { N: String(row.version) } };
  if (row.kind !== 'record') item['i'] = { B: toBytes(row.id) };
  else if (row.expiresAt !== undefined) item['x'] = { N: String(ttlSeconds(row.expiresAt)) };
  if (source !== undefined) item['s'] = { S: source };
  const size = itemBytes(item);
  if (size <= ITEM_BYTES_MAX) return item;
  const what = `its row would take ${size} bytes, and an item of DynamoDB holds ${ITEM_BYTES_MAX}`;
  throw new LeatError('tooLarge', `'${toText(key.name)}': ${what}; give it fewer or smaller extended attributes`);
}

/** Rounded up: a record never ends before its time. */
function ttlSeconds(expiresAt: number): number {
  return Math.ceil(expiresAt / 1000);
}

export function rowOf(item: Item): Row {
  return decodeRow(bytesOf(item, 'r'));
}

export function nameOf(item: Item): Name {
  const name = toByteString(bytesOf(item, 'n'));
  return (name === EMPTY_NAME ? '' : name) as Name;
}

export function keyOf(item: Item): RowKey {
  return { directory: toByteString(bytesOf(item, 'd')) as InodeId, name: nameOf(item) };
}

interface ConditionFields {
  readonly ConditionExpression?: string;
  readonly ExpressionAttributeValues?: Item;
}

export function conditionFields(when: Condition): ConditionFields {
  if (when === 'any') return {};
  if (when === 'absent') return { ConditionExpression: 'attribute_not_exists(d)' };
  const version = { ':v': { N: String(when.version) } };
  if (when.id === undefined) return { ConditionExpression: 'v = :v', ExpressionAttributeValues: version };
  return {
    ConditionExpression: 'v = :v AND i = :i',
    ExpressionAttributeValues: { ...version, ':i': { B: toBytes(when.id) } },
  };
}

/** The same, of a row that has been read. */
export function holds(when: Condition, row: Row | undefined): boolean {
  if (when === 'any') return true;
  if (when === 'absent') return row === undefined;
  if (row?.version !== when.version) return false;
  return when.id === undefined || idOf(row) === when.id;
}

export function idOf(row: Row): InodeId | undefined {
  return row.kind === 'record' ? undefined : row.id;
}

export function itemBytes(item: Item): number {
  return Object.values(item).reduce(
    (sum, { B, S }) => sum + 1 + (B?.length ?? (S ? Buffer.byteLength(S) : NUMBER_BYTES)),
    0,
  );
}

function bytesOf(item: Item, attribute: string): Uint8Array {
  const bytes = item[attribute]?.B;
  if (bytes) return bytes;
  throw new LeatError('corrupt', `an item of the table has no binary attribute ${attribute}: Leat has not written it`);
}

function toBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

function toByteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
