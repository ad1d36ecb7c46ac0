import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { dynamoMetastore } from '#functions/drivers/dynamodb.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { Change, Metastore } from '#shared/ports/metastore.ts';
import { file } from '../contract/metastore.contract.ts';
import { ANY_ENGINE, dynamoTables } from '../support/dynamodb-engine.ts';
import { type FaultyDynamo, faultyDynamo } from '../support/faulty-dynamodb.ts';

const a = { directory: ROOT, name: 'a' as Name };
const b = { directory: ROOT, name: 'b' as Name };
const put = (row: Row, when: Change['when'] = 'absent'): Change => ({ act: 'put', key: a, when, row });
const remove = (when: Change['when']): Change => ({ act: 'remove', key: a, when });
const mine = file(1);
const other = file(2);
const isMine = { version: 1, id: mine.id };

describe.skipIf(!ANY_ENGINE.isThere())(`lost answers, ${ANY_ENGINE.name}`, () => {
  const { newTable, newClient, endpoint } = dynamoTables(ANY_ENGINE);
  let door: FaultyDynamo;
  /** Behind the door, and beside it. */
  let ours: Metastore;
  let theirs: Metastore;

  beforeAll(async () => {
    door = await faultyDynamo(endpoint());
  });
  afterAll(() => door.close());
  beforeEach(async () => {
    const { metastore, ...deps } = await newTable();
    theirs = metastore;
    ours = dynamoMetastore({ ...deps, client: newClient({ endpoint: door.endpoint }), random: () => 0 });
    door.requests.length = 0;
    door.fate = () => undefined;
  });

  /** Of the first write, and what others do before it is tried again. */
  const first = (fate: 'lost' | 'unanswered' | 'broken', meanwhile: readonly Change[] = []) => {
    door.fate = async (kind, nth) => {
      if (nth === 2 && meanwhile.length > 0) expect(await theirs.commit(meanwhile)).toEqual({ committed: true });
      return nth === 1 && kind !== 'GetItem' ? fate : undefined;
    };
  };

  it.each(['unanswered', 'broken'] as const)('knows its own put again after an answer that was %s', async (fate) => {
    first(fate);
    expect(await ours.commit([put(mine)])).toEqual({ committed: true });
    expect(door.requests).toEqual(['PutItem', 'PutItem', 'GetItem']);
    expect(await theirs.get([a])).toEqual([mine]);
  });

  it('puts once more what never arrived', async () => {
    first('lost');
    expect(await ours.commit([put(mine)])).toEqual({ committed: true });
    expect(door.requests).toEqual(['PutItem', 'PutItem']);
    expect(await theirs.get([a])).toEqual([mine]);
  });

  it('says that it does not know, when its put may have been there and is not', async () => {
    first('unanswered', [{ act: 'put', key: a, when: isMine, row: file(1, 2) }]);
    await expect(ours.commit([put(mine)])).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/table leat-\d+: .*'a'.*not known/),
    });
    await theirs.commit([remove('any')]);
    door.requests.length = 0;
    first('lost', [put(other)]);
    await expect(ours.commit([put(mine)])).rejects.toMatchObject({ kind: 'unavailable' });
    expect(await theirs.get([a])).toEqual([other]);
  });

  it('knows that a version that another has written was not its own', async () => {
    await theirs.commit([put(mine)]);
    const rewritten = { ...file(1, 2), size: 77 };
    first('lost', [put(rewritten, isMine)]);
    expect(await ours.commit([put(file(1, 2), isMine)])).toEqual({ committed: false, failed: [0] });
    expect(await theirs.get([a])).toEqual([rewritten]);
  });

  it.each(['unanswered', 'broken'] as const)('applies a transaction once whose answer was %s', async (fate) => {
    await theirs.commit([put(mine)]);
    const changes: Change[] = [put(file(1, 2), isMine), { act: 'put', key: b, when: 'absent', row: other }];
    for (const options of [{}, { token: 't' }]) {
      await theirs.commit([put(mine, 'any'), { act: 'remove', key: b, when: 'any' }]);
      door.requests.length = 0;
      first(fate);
      expect(await ours.commit(changes, options)).toEqual({ committed: true });
      expect(door.requests).toEqual(['TransactWriteItems', 'TransactWriteItems']);
      expect(await theirs.get([a, b])).toEqual([file(1, 2), other]);
    }
  });

  it('says which conditions failed when a transaction got through at the second try', async () => {
    await theirs.commit([put(mine)]);
    first('lost', [{ act: 'put', key: b, when: 'absent', row: other }]);
    const changes: Change[] = [put(file(1, 2), isMine), { act: 'put', key: b, when: 'absent', row: file(3) }];
    expect(await ours.commit(changes)).toEqual({ committed: false, failed: [1] });
    expect(await theirs.get([a, b])).toEqual([mine, other]);
  });

  it.each(['unanswered', 'broken', 'lost'] as const)('has removed a row whose removal was %s', async (fate) => {
    await theirs.commit([put(mine)]);
    first(fate);
    expect(await ours.commit([remove(isMine)])).toEqual({ committed: true });
    expect(await theirs.get([a])).toEqual([undefined]);
  });

  it('has not removed a row that is there, and does not know where another has taken its place', async () => {
    await theirs.commit([put(mine)]);
    first('lost', [put(file(1, 2), isMine)]);
    expect(await ours.commit([remove(isMine)])).toEqual({ committed: false, failed: [0] });
    door.requests.length = 0;
    first('lost', [put(other, { version: 2, id: mine.id })]);
    await expect(ours.commit([remove({ version: 2, id: mine.id })])).rejects.toMatchObject({ kind: 'unavailable' });
    expect(await theirs.get([a])).toEqual([other]);
  });

  it('gives up, and says that it cannot know, when no answer ever comes', async () => {
    door.fate = () => 'unanswered';
    const failure = {
      kind: 'unavailable',
      message: expect.stringMatching(/table leat-\d+: PutItem of 'a' failed 5 times.*not known/),
    };
    await expect(ours.commit([put(mine, 'any')])).rejects.toMatchObject(failure);
    expect(door.requests).toHaveLength(5);
    await expect(ours.get([a])).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(ours.list(ROOT, { limit: 1 })).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('asks again for reads whose answers were lost', async () => {
    await theirs.commit([put(mine), { act: 'put', key: b, when: 'any', row: other }]);
    door.fate = (_, nth) => (nth % 2 === 1 ? 'unanswered' : undefined);
    expect(await ours.get([a, b])).toEqual([mine, other]);
    expect(await ours.get([b])).toEqual([other]);
    expect(await ours.list(ROOT, { limit: 9 })).toHaveLength(2);
    expect(door.requests).toEqual(['BatchGetItem', 'BatchGetItem', 'GetItem', 'GetItem', 'Query', 'Query']);
  });
});
