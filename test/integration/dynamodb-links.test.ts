import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { countRequests, type RequestCounts } from '#functions/drivers/dynamodb-client.ts';
import { NAME_BYTES_MAX } from '#shared/model/names.ts';
import { LEASE_MS } from '#shared/namespace/context.ts';
import type { RunningNamespace } from '#shared/namespace/create-namespace.ts';
import { LINKS_MAX } from '#shared/namespace/hard-links.ts';
import { ANY_ENGINE, dynamoTables } from '../support/dynamodb-engine.ts';
import { path, refused, ROOT_USER as root } from '../support/namespace.ts';
import { openShared } from '../support/shared-namespace.ts';

describe.skipIf(!ANY_ENGINE.isThere())(`hard links, ${ANY_ENGINE.name}`, () => {
  const { newTable } = dynamoTables(ANY_ENGINE);
  let namespace: RunningNamespace;
  let counts: RequestCounts;
  let advance: (ms: number) => void;
  const mode = 0o644;

  beforeAll(async () => {
    const { client, metastore, clock, sleep, ...table } = await newTable();
    counts = countRequests(client);
    ({ advance } = table);
    namespace = await openShared({ metastore, clock, sleep });
    await namespace.mkdir(root, path('/d'), { mode: 0o755 });
  });
  afterAll(() => namespace.close());
  beforeEach(() => advance(2 * LEASE_MS));

  async function costOf(act: () => Promise<unknown>): Promise<Record<string, [number, number]>> {
    counts.clear();
    await act();
    return Object.fromEntries([...counts].map(([kind, { requests, items }]) => [kind, [requests, items]]));
  }

  it('cost one transaction to be made, changed and taken away, and nothing to be read', async () => {
    await namespace.create(root, path('/d/f'), { mode });
    advance(2 * LEASE_MS);
    // Both rows, and the directory that holds them.
    const link = await costOf(() => namespace.link(root, path('/d/f'), path('/d/g')));
    expect(link).toEqual({ BatchGetItem: [1, 4], TransactWriteItems: [1, 3] });
    const stat = await costOf(() => namespace.stat(root, path('/d/g')));
    expect(stat).toEqual({ BatchGetItem: [1, 3] });
    const chmod = await costOf(() => namespace.setAttributes(root, path('/d/g'), { mode: 0o600 }));
    expect(chmod).toEqual({ BatchGetItem: [1, 3], TransactWriteItems: [1, 2] });
    const unlink = await costOf(() => namespace.remove(root, path('/d/f'), 'file'));
    expect(unlink).toEqual({ BatchGetItem: [1, 3], TransactWriteItems: [1, 2] });
  });

  it('fit into a transaction where two inodes have all the names there can be, and the longest', async () => {
    const named = (letter: string, number: number) => path(`/d/${letter}${number}`.padEnd(NAME_BYTES_MAX, '-'));
    for (const letter of ['x', 'y']) {
      await namespace.create(root, named(letter, 0), { mode });
      for (let i = 1; i < LINKS_MAX; i++) await namespace.link(root, named(letter, 0), named(letter, i));
    }
    await refused('tooManyNames', namespace.link(root, named('x', 0), path('/more')));
    await namespace.rename(root, named('x', 0), named('y', 0));
    await namespace.setAttributes(root, named('x', 7), { mode: 0o600 });
    expect((await namespace.stat(root, named('y', 0))).inode.mode).toBe(0o600);
    expect((await namespace.stat(root, named('y', 1))).inode).toMatchObject({ mode });
    expect((await namespace.stat(root, named('y', 1))).inode.links).toHaveLength(LINKS_MAX - 1);
  });
});
