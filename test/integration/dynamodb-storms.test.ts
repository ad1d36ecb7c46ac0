import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { dynamoMetastore } from '#functions/drivers/dynamodb.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { Change, Metastore } from '#shared/ports/metastore.ts';
import { file } from '../contract/metastore.contract.ts';
import { ANY_ENGINE, dynamoTables } from '../support/dynamodb-engine.ts';
import { type FaultyDynamo, faultyDynamo } from '../support/faulty-dynamodb.ts';

const TRIES_MAX = 12;
const key = (name: string) => ({ directory: ROOT, name: name as Name });
const put = (name: string, row = file(1), when: Change['when'] = 'any'): Change => ({
  act: 'put',
  key: key(name),
  when,
  row,
});

describe.skipIf(!ANY_ENGINE.isThere())(`storms, ${ANY_ENGINE.name}`, () => {
  const { newTable, newClient, endpoint } = dynamoTables(ANY_ENGINE);
  const sleeps: number[] = [];
  let door: FaultyDynamo;
  let stormy: Metastore;
  let calm: Metastore;

  beforeAll(async () => {
    door = await faultyDynamo(endpoint());
  });
  afterAll(() => door.close());
  beforeEach(async () => {
    const { metastore, ...deps } = await newTable();
    calm = metastore;
    const sleep = async (ms: number) => void sleeps.push(ms);
    stormy = dynamoMetastore({ ...deps, client: newClient({ endpoint: door.endpoint }), sleep, random: () => 1 });
    door.requests.length = 0;
    sleeps.length = 0;
    door.fate = () => undefined;
  });

  const acts: Readonly<Record<string, () => Promise<unknown>>> = {
    GetItem: () => stormy.get([key('a')]),
    BatchGetItem: () => stormy.get([key('a'), key('b')]),
    Query: () => stormy.list(ROOT, { limit: 9 }),
    PutItem: () => stormy.commit([put('a', file(7), 'absent')]),
    DeleteItem: () => stormy.commit([{ act: 'remove', key: key('a'), when: 'any' }]),
    TransactWriteItems: () => stormy.commit([put('a', file(7), 'absent'), put('b')]),
  };

  it.each(Object.entries(acts))(
    '%s comes through a storm that passes, without a doubt about what was applied',
    async (kind, act) => {
      const storm = ['ThrottlingException', 'ProvisionedThroughputExceededException', 'RequestLimitExceeded'];
      door.fate = (_, nth) => (nth < TRIES_MAX ? { refusal: storm[nth % storm.length] ?? '' } : undefined);
      await act();
      expect(door.requests).toEqual(Array.from({ length: TRIES_MAX }, () => kind));
    },
  );

  it.each(Object.entries(acts))('%s ends in `unavailable` when a storm does not pass', async (kind, act) => {
    door.fate = () => ({ refusal: 'ThrottlingException' });
    await expect(act()).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(
        new RegExp(
          `^table leat-\\d+: ${kind} of .* failed 12 times, at last with ThrottlingException: [^;]*; try again`,
        ),
      ),
    });
    expect(door.requests).toHaveLength(TRIES_MAX);
    expect(sleeps).toEqual([25, 50, 100, 200, 400, 800, 1000, 1000, 1000, 1000, 1000]);
  });

  it('asks again for what a batch left unprocessed', async () => {
    const names = Array.from({ length: 100 }, (_, i) => `f${i}`);
    await calm.commit(names.map((name, i) => put(name, file(i))));
    door.fate = () => ({ keysMax: 30 });
    expect(await stormy.get(names.map(key))).toEqual(names.map((_, i) => file(i)));
    expect(door.requests).toHaveLength(4);
    door.fate = () => ({ keysMax: 0 });
    await expect(stormy.get(names.map(key))).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/table leat-\d+: BatchGetItem left 100 keys unprocessed 12 times/),
    });
  });

  it('reads rows of more bytes than one answer can hold', async () => {
    const big = (i: number): Inode => ({ ...file(i), xattrs: { 'user.a': String(i % 10).repeat(350_000) } });
    const names = Array.from({ length: 60 }, (_, i) => `f${i}`);
    for (const [i, name] of names.entries()) await calm.commit([put(name, big(i))]);
    expect(await calm.get(names.map(key))).toEqual(names.map((_, i) => big(i)));
  });

  it('goes on where transactions meet, and loses none of them', async () => {
    await calm.commit([put('a', file(1, 1)), put('b', file(2, 1))]);
    const { id } = file(1);
    const count = async (): Promise<void> => {
      const [row] = await calm.get([key('a')]);
      const version = row?.version ?? 0;
      const changes = [put('a', file(1, version + 1), { version, id }), put('b', file(2, version + 1), { version })];
      const { committed } = await calm.commit(changes);
      if (!committed) await count();
    };
    await Promise.all(Array.from({ length: 12 }, count));
    expect(await calm.get([key('a'), key('b')])).toEqual([file(1, 13), file(2, 13)]);
  });

  it('tries a transaction again that was in the way of another, and one whose token was', async () => {
    const conflict = (...reasons: string[]) => ({ refusal: 'TransactionCanceledException', reasons });
    const changes = [put('a', file(1), 'absent'), put('b')];
    door.fate = (_, nth) => (nth === 1 ? conflict('None', 'TransactionConflict') : undefined);
    expect(await stormy.commit(changes)).toEqual({ committed: true });
    // Beside a conflict, a condition that failed is an answer; not while the token itself is in the making.
    door.fate = () => conflict('ConditionalCheckFailed', 'TransactionConflict');
    expect(await stormy.commit(changes)).toEqual({ committed: false, failed: [0] });
    door.requests.length = 0;
    door.fate = (_, nth) => (nth === 1 ? conflict('ConditionalCheckFailed', 'None', 'TransactionConflict') : undefined);
    expect(await stormy.commit([put('a'), put('c')], { token: 't' })).toEqual({ committed: true });
    door.fate = () => ({ refusal: 'TransactionInProgressException' });
    await expect(stormy.commit(changes)).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('tries nothing again that cannot get better, and says what to look at', async () => {
    for (const refusal of ['AccessDeniedException', 'ResourceNotFoundException', 'ValidationException']) {
      door.requests.length = 0;
      door.fate = () => ({ refusal });
      await expect(stormy.get([key('a')])).rejects.toMatchObject({
        kind: refusal === 'AccessDeniedException' ? 'denied' : 'unavailable',
        message: expect.stringMatching(
          new RegExp(`table leat-\\d+: GetItem of 'a' failed with ${refusal}.*check that`),
        ),
      });
      expect(door.requests).toHaveLength(1);
    }
  });

  it('refuses rows and transactions that DynamoDB would refuse, by their names', async () => {
    const big = (bytes: number): Inode => ({ ...file(1), xattrs: { 'user.a': 'x'.repeat(bytes) } });
    await expect(stormy.commit([put('large', big(410_000))])).rejects.toMatchObject({
      kind: 'tooLarge',
      message: expect.stringMatching(/^'large': .*409600.*extended attributes/),
    });
    const many = Array.from({ length: 11 }, (_, i) => put(`part${i}`, big(399_000 + i)));
    await expect(stormy.commit(many)).rejects.toMatchObject({
      kind: 'tooLarge',
      message: expect.stringMatching(/^'part10': a transaction with this row, its largest, and 10 more.*4194304/),
    });
    expect(door.requests).toEqual([]);
    // A bound that is too strict would refuse what the engine takes.
    expect(await stormy.commit([put('large', big(409_000))])).toEqual({ committed: true });
    expect(await stormy.commit(many.slice(0, 7))).toEqual({ committed: true });
  });
});
