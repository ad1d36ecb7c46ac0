import { beforeAll, describe, expect, it } from 'vitest';
import { countRequests, type RequestCounts } from '#functions/drivers/dynamodb-client.ts';
import { isFault } from '#shared/model/faults.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { RunningNamespace } from '#shared/namespace/create-namespace.ts';
import { locationOf } from '#shared/namespace/directory-keys.ts';
import { ANY_ENGINE, dynamoTables } from '../support/dynamodb-engine.ts';
import { path, ROOT_USER as root } from '../support/namespace.ts';
import { openShared } from '../support/shared-namespace.ts';
import { randomFrom } from '../support/yielding-metastore.ts';

const EXECUTORS = 8;
const CREATORS = 64;
const mode = 0o755;

/** Executors are namespaces of their own, as functions and agents in mode `direct` are: only the table is between them. */
describe.skipIf(!ANY_ENGINE.isThere())(`many executors on one table, ${ANY_ENGINE.name}`, { timeout: 240_000 }, () => {
  const { newTable } = dynamoTables(ANY_ENGINE);
  let table: Awaited<ReturnType<typeof newTable>>;
  let counts: RequestCounts;
  let executors: RunningNamespace[];

  beforeAll(async () => {
    table = await newTable();
    counts = countRequests(table.client);
    const { metastore, clock, sleep } = table;
    const open = () => openShared({ metastore, clock, sleep });
    executors = [await open()];
    while (executors.length < EXECUTORS) executors.push(await open());
  });
  const executor = (i: number): RunningNamespace => executors[i % EXECUTORS] as RunningNamespace;

  async function namesIn(at: string): Promise<string[]> {
    const { entries } = await executor(0).list(root, path(at), { limit: 10_000 });
    return entries.map(({ name }) => name);
  }

  it('make files in one directory side by side: none in the way of another, none lost', async () => {
    const EACH = 10;
    await executor(0).mkdir(root, path('/crowd'), { mode });
    counts.clear();
    const made = await Promise.all(
      Array.from({ length: CREATORS }, async (_, creator) => {
        const names = Array.from({ length: EACH }, (__, i) => `f${creator}-${i}`);
        for (const name of names) await executor(creator).create(root, path(`/crowd/${name}`), { mode });
        return names;
      }),
    );
    expect((await namesIn('/crowd')).toSorted()).toEqual(made.flat().toSorted());
    // As many writes as files: no try was in conflict and made again, and no transaction was made at all.
    expect(counts.get('PutItem')?.requests).toBe(CREATORS * EACH);
    expect(counts.has('TransactWriteItems')).toBe(false);
  });

  it('make one file of the same name once', async () => {
    const tries = Array.from({ length: CREATORS }, (_, i) => executor(i).create(root, path('/crowd/same'), { mode }));
    const done = await Promise.allSettled(tries);
    expect(done.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('do not make files in a directory that others remove', async () => {
    for (let round = 0; round < 12; round++) {
      const at = `/doomed${round}`;
      const { id } = await executor(0).mkdir(root, path(at), { mode });
      const remove = executor(1)
        .remove(root, path(at), 'directory')
        .then(() => true, refusedAs('notEmpty'));
      const makers = Array.from({ length: EXECUTORS }, (_, i) =>
        executor(i)
          .create(root, path(`${at}/f${i}`), { mode })
          .then(() => true, refusedAs('notFound')),
      );
      const [isRemoved, ...isMade] = await Promise.all([remove, ...makers]);
      const left = isRemoved ? [] : await namesIn(at);
      expect(left).toHaveLength(isMade.filter(Boolean).length);
      // Below the id, too: who was too late has taken back what he put.
      expect(await table.metastore.list(id, { limit: 100 })).toHaveLength(left.length);
    }
  });

  it('move directories into one another: never a circle, never a lost tree', async () => {
    const random = randomFrom(7);
    const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
    await executor(0).mkdir(root, path('/w'), { mode });
    const names = Array.from({ length: 6 }, (_, i) => `d${i}`);
    const ids = new Set<string>();
    for (const name of names) {
      ids.add((await executor(0).mkdir(root, path(`/w/${name}`), { mode })).id);
      ids.add((await executor(0).mkdir(root, path(`/w/${name}/in`), { mode })).id);
    }
    let moves = 0;
    const mover = async (i: number) => {
      for (let turn = 0; turn < 15; turn++) {
        const all = [...(await treeBelow('/w'))];
        const [from, into] = [pick(all).at, pick(all).at];
        const to = `${into}/m${i}-${turn}`;
        const isMoved = await executor(i)
          .rename(root, path(from), path(to))
          .then(() => true, refusedAs('notFound', 'invalid', 'contended', 'notDirectory'));
        if (isMoved) moves++;
      }
    };
    await Promise.all(Array.from({ length: EXECUTORS }, (_, i) => mover(i)));
    const left = await treeBelow('/w');
    expect(left.map(({ id }) => id).toSorted()).toEqual([...ids].toSorted());
    expect(moves).toBeGreaterThan(EXECUTORS);
    for (const { id, directory, name } of left) {
      expect((await locationOf(table.metastore, id))?.keptAt?.key).toEqual({ directory, name });
    }
  });

  /** Every directory below a path, by the rows themselves. What others move while it is read may be missed or met twice. */
  async function treeBelow(at: string) {
    const top = await executor(0).stat(root, path(at));
    const found = [{ at, id: top.inode.id, directory: ROOT, name: at.slice(1) }];
    for (const { at: above, id } of found) {
      if (found.length > 1000) throw new Error(`a circle at ${above}`);
      for (const { name, row } of await table.metastore.list(id, { limit: 1000 })) {
        if (row.kind === 'directory') found.push({ at: `${above}/${name}`, id: row.id, directory: id, name });
      }
    }
    return found.slice(1);
  }
});

/** Other failures are none that may happen here. */
function refusedAs(...kinds: Parameters<typeof isFault>[1][]) {
  return (error: unknown): false => {
    if (isFault(error, ...kinds)) return false;
    throw error;
  };
}
