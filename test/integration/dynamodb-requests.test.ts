import { GetItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { countRequests, type RequestCounts } from '#functions/drivers/dynamodb-client.ts';
import { keyItem } from '#functions/drivers/dynamodb-items.ts';
import { dynamoMetastore } from '#functions/drivers/dynamodb.ts';
import { MOUNTS, ROOT, TOKENS } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import { encodeRow } from '#shared/model/row-codec.ts';
import { type Change, CHANGES_MAX, type RowKey, TOKEN_LIFE_MS } from '#shared/ports/metastore.ts';
import { file } from '../contract/metastore.contract.ts';
import { ANY_ENGINE, dynamoTables } from '../support/dynamodb-engine.ts';
import { type FaultyDynamo, faultyDynamo } from '../support/faulty-dynamodb.ts';

type Table = Awaited<ReturnType<ReturnType<typeof dynamoTables>['newTable']>>;

const key = (name: string): RowKey => ({ directory: ROOT, name: name as Name });
const put = (name: string, row = file(1)): Change => ({ act: 'put', key: key(name), when: 'any', row });
const remove = (name: string): Change => ({ act: 'remove', key: key(name), when: 'any' });
const names = Array.from({ length: 230 }, (_, i) => `f${i}`);

describe.skipIf(!ANY_ENGINE.isThere())(`requests, ${ANY_ENGINE.name}`, () => {
  const { newTable, newClient, endpoint } = dynamoTables(ANY_ENGINE);
  let table: Table;
  let counts: RequestCounts;
  let door: FaultyDynamo;
  beforeAll(async () => {
    door = await faultyDynamo(endpoint());
  });
  afterAll(() => door.close());
  beforeEach(async () => {
    table = await newTable();
    counts = countRequests(table.client);
  });

  /** By kind: requests, and items that they named. */
  async function costOf(act: () => Promise<unknown>): Promise<Record<string, [number, number]>> {
    counts.clear();
    await act();
    return Object.fromEntries([...counts].map(([kind, { requests, items }]) => [kind, [requests, items]]));
  }

  it('takes one request for what one can do', async () => {
    const { metastore } = table;
    const check: Change = { act: 'check', key: key('a'), when: { version: 1 } };
    expect(await costOf(() => metastore.commit([put('a')]))).toEqual({ PutItem: [1, 1] });
    expect(await costOf(() => metastore.get([key('a'), key('a')]))).toEqual({ GetItem: [1, 1] });
    expect(await costOf(() => metastore.commit([check]))).toEqual({ GetItem: [1, 1] });
    expect(await costOf(() => metastore.commit([put('b'), check]))).toEqual({ TransactWriteItems: [1, 2] });
    expect(await costOf(() => metastore.commit([put('a')], { token: 't' }))).toEqual({ TransactWriteItems: [1, 2] });
    expect(await costOf(() => metastore.get(names.slice(0, 100).map(key)))).toEqual({ BatchGetItem: [1, 100] });
    expect(await costOf(() => metastore.list(ROOT, { limit: 1000 }))).toEqual({ Query: [1, 1] });
    expect(await costOf(() => metastore.commit([remove('a')]))).toEqual({ DeleteItem: [1, 1] });
    expect(await costOf(() => metastore.get([]))).toEqual({});
    expect(await costOf(() => metastore.commit([]))).toEqual({});
    expect(await costOf(() => metastore.list(ROOT, { limit: 0 }))).toEqual({});
  });

  it('sums up what the engine charges', async () => {
    const { metastore } = table;
    await metastore.commit([put('a', { ...file(1), xattrs: { 'user.a': 'x'.repeat(3000) } })]);
    await metastore.get([key('a')]);
    await metastore.commit([remove('a')]);
    const units = [...counts].map(([kind, { capacityUnits }]) => [kind, capacityUnits]);
    expect(Object.fromEntries(units)).toEqual({ PutItem: 4, GetItem: 1, DeleteItem: 4 });
  });

  it('lists a thousand rows in one page, and large ones in as many as DynamoDB needs', async () => {
    const { metastore } = table;
    const some = Array.from({ length: 1000 }, (_, i) => put(`f${i}`));
    for (let at = 0; at < some.length; at += CHANGES_MAX) await metastore.commit(some.slice(at, at + CHANGES_MAX));
    expect(await costOf(() => metastore.list(ROOT, { limit: 1000 }))).toEqual({ Query: [1, 1] });
    const big: Inode = { ...file(1), xattrs: { 'user.a': 'x'.repeat(100_000) } };
    await metastore.commit(names.slice(0, 30).map((name) => put(`big-${name}`, big)));
    expect(await costOf(() => metastore.list(ROOT, { limit: 30 }))).toEqual({ Query: [3, 3] });
  });

  it('asks for more keys than a batch holds at the same time', async () => {
    const { metastore, ...deps } = table;
    await metastore.commit(names.slice(0, CHANGES_MAX).map((name) => put(name)));
    const behind = dynamoMetastore({ ...deps, client: newClient({ endpoint: door.endpoint }) });
    // Each waits for the third: one after the other they would wait for ever.
    let open = (): void => undefined;
    const allCame = new Promise<void>((resolve) => (open = resolve));
    door.fate = async (_, nth) => {
      if (nth === 3) open();
      return allCame.then(() => undefined);
    };
    const rows = await behind.get(names.map(key));
    expect(rows.filter((row) => row !== undefined)).toHaveLength(CHANGES_MAX);
    expect(door.requests).toEqual(['BatchGetItem', 'BatchGetItem', 'BatchGetItem']);
  });

  it('keeps a row as the item that the stack and the feed know', async () => {
    const { metastore, client, table: TableName, clock } = table;
    const itemAt = async (at: RowKey) => (await client.send(new GetItemCommand({ TableName, Key: keyItem(at) }))).Item;
    const bytes = (text: string) => ({ B: new Uint8Array(Buffer.from(text, 'latin1')) });
    const inode = file(1, 7);
    await metastore.commit([put('', inode)], { source: 'me' });
    expect(await itemAt(key(''))).toEqual({
      d: bytes(ROOT),
      n: bytes('\0'),
      r: { B: encodeRow(inode) },
      v: { N: '7' },
      i: bytes(inode.id),
      s: { S: 'me' },
    });
    // Far away, because the engine removes rows whose life is over.
    const record = { kind: 'record', version: 2, body: '{}', expiresAt: 4_000_000_000_001 } as const;
    const at = { directory: MOUNTS, name: '\xff' as Name };
    await metastore.commit([{ act: 'put', key: at, when: 'any', row: record }, put('b')], { token: 't' });
    expect(await itemAt(at)).toEqual({
      d: bytes(MOUNTS),
      n: bytes('\xff'),
      r: { B: encodeRow(record) },
      v: { N: '2' },
      x: { N: '4000000001' },
    });
    const token = await itemAt({ directory: TOKENS, name: 't' as Name });
    expect(token?.['x']).toEqual({ N: String(Math.ceil((clock() + TOKEN_LIFE_MS) / 1000)) });
  });
});
