import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countRequests, type RequestCounts } from '#functions/drivers/dynamodb-client.ts';
import { itemBytes, toItem } from '#functions/drivers/dynamodb-items.ts';
import { drawnId, foretoldId } from '#functions/drivers/ids.ts';
import { ITEM_BYTES, type Operation, OPERATION_NAMES, OPERATIONS, unitsOf } from '#shared/cost/requests.ts';
import { type InodeId, ROOT } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import { LEASE_MS } from '#shared/namespace/context.ts';
import type { RunningNamespace } from '#shared/namespace/create-namespace.ts';
import { type Change, CHANGES_MAX, type Metastore } from '#shared/ports/metastore.ts';
import { ANY_ENGINE, dynamoTables } from '../support/dynamodb-engine.ts';
import { path, ROOT_USER as root } from '../support/namespace.ts';
import { openShared } from '../support/shared-namespace.ts';

/** Filling that takes minutes, so only the full run does it. */
const MANY = process.env['LEAT_TEST_FULL'] === '1' ? 100_000 : 1000;
const TEST_MS_MAX = 600_000;
const DEPTHS = [1, 12] as const;
const WAY = ['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k'].join('/');

const inode = (more: Partial<Inode> = {}): Inode => ({
  kind: 'file',
  id: drawnId(),
  mode: 0o644,
  uid: 1000,
  gid: 1000,
  size: 0,
  atime: 0n,
  mtime: 0n,
  ctime: 0n,
  version: 1,
  generation: 1,
  ...more,
});

async function fill(metastore: Metastore, directory: InodeId, count: number): Promise<void> {
  const puts = Array.from({ length: count }, (_, i): Change => {
    return { act: 'put', key: { directory, name: `f${i}` as Name }, when: 'any', row: inode() };
  });
  for (let at = 0; at < count; at += CHANGES_MAX) await metastore.commit(puts.slice(at, at + CHANGES_MAX));
}

describe.skipIf(!ANY_ENGINE.isThere())(`requests of the namespace, ${ANY_ENGINE.name}`, () => {
  const { newTable } = dynamoTables(ANY_ENGINE);
  let table: Awaited<ReturnType<typeof newTable>>;
  let namespace: RunningNamespace;
  let counts: RequestCounts;

  beforeAll(async () => {
    table = await newTable();
    counts = countRequests(table.client);
    const { metastore, clock, sleep } = table;
    namespace = await openShared({ metastore, clock, sleep });
  });
  afterAll(() => namespace.close());

  /** In a directory of its own, and with nothing in it younger than the lease. */
  async function prepared(operation: Operation, depth: number, suffix = ''): Promise<string> {
    const parent = depth === 1 ? '' : `/${operation}/${WAY}`;
    const at = `${parent}/${operation}-it${suffix}`;
    if (depth > 1) await namespace.mkdir(root, path(parent), { mode: 0o755, parents: true });
    if (MADE_OF[operation] === 'file') await namespace.create(root, path(at), { mode: 0o644 });
    if (MADE_OF[operation] === 'directory') {
      const { id } = await namespace.mkdir(root, path(at), { mode: 0o755 });
      if (FULL.has(operation)) await fill(table.metastore, id, operation === 'list' ? 1000 : MANY);
    }
    if (operation === 'rename-directory')
      await namespace.mkdir(root, path(asideOf(at)), { mode: 0o755, parents: true });
    table.advance(2 * LEASE_MS);
    return at;
  }

  it.each(OPERATION_NAMES.flatMap((name) => DEPTHS.map((depth) => [name, depth] as const)).filter(isPossible))(
    'takes what the model says: %s at depth %i',
    async (operation, depth) => {
      const at = await prepared(operation, depth);
      counts.clear();
      await ACTS[operation](namespace, at);
      const counted = Object.fromEntries([...counts].map(([kind, { requests, items }]) => [kind, [requests, items]]));
      expect(counted).toEqual(OPERATIONS[operation].requests(depth));
    },
    TEST_MS_MAX,
  );

  // Of a missing item, and of a transaction, DynamoDB Local says another sum than AWS.
  it.each(['stat', 'chmod', 'unlink'] as const)('is charged as the model says: %s', async (operation) => {
    for (const depth of DEPTHS) {
      const at = await prepared(operation, depth, '-charged');
      counts.clear();
      await ACTS[operation](namespace, at);
      const charged = [...counts.values()].reduce((sum, { capacityUnits }) => sum + capacityUnits, 0);
      const { read, write } = unitsOf(operation, depth);
      expect(charged).toBe(read + write);
    }
  });

  it('reclaims a hundred rows with one transaction, and looks once for them', { timeout: TEST_MS_MAX }, async () => {
    await namespace.catchUp(() => false);
    const rowsIn = async (rows: number) => {
      const at = path(`/reclaimed-${rows}`);
      const { id } = await namespace.mkdir(root, at, { mode: 0o755 });
      await fill(table.metastore, id, rows);
      await namespace.removeTree(root, at);
      table.advance(2 * LEASE_MS);
      counts.clear();
      await namespace.catchUp(() => false);
      return new Map([...counts].map(([kind, { requests, items }]) => [kind, [requests, items] as const]));
    };
    const [few, many] = [await rowsIn(100), await rowsIn(1000)];
    const more = (kind: string, i: 0 | 1) => (many.get(kind)?.[i] ?? 0) - (few.get(kind)?.[i] ?? 0);
    const nine = [...many.keys()].map((kind) => [kind, [more(kind, 0) / 9, more(kind, 1) / 9]] as const);
    expect(Object.fromEntries(nine.filter(([, [requests]]) => requests !== 0))).toEqual(
      OPERATIONS['reclaim-100'].requests(),
    );
  });

  it('confirms the directory with one more read when a row is younger than the lease', async () => {
    await namespace.create(root, path('/young'), { mode: 0o644 });
    counts.clear();
    await namespace.stat(root, path('/young'));
    expect([...counts.keys()]).toEqual(['BatchGetItem', 'GetItem']);
  });

  it('keeps an ordinary file in an item of the size that the model takes', () => {
    const name = 'shard-00042-of-01024' as Name;
    const row = inode({ size: 2 ** 28, bornAt: Date.now(), fingerprint: `"${'0'.repeat(32)}"` as never });
    const bytes = itemBytes(toItem({ directory: foretoldId({ directory: ROOT, name }), name }, row, 'agent-1'));
    expect(bytes).toBeLessThanOrEqual(ITEM_BYTES);
    expect(bytes).toBeGreaterThan(ITEM_BYTES / 2);
  });
});

/** What stands there before. */
const MADE_OF: Readonly<Record<Operation, 'file' | 'directory' | 'nothing'>> = {
  stat: 'file',
  list: 'directory',
  create: 'nothing',
  unlink: 'file',
  chmod: 'file',
  mkdir: 'nothing',
  rmdir: 'directory',
  'rename-file': 'file',
  'rename-directory': 'directory',
  'remove-tree': 'directory',
  'reclaim-100': 'nothing',
};
const FULL: ReadonlySet<Operation> = new Set(['list', 'rename-directory', 'remove-tree']);

/** `/…/j/k/it` moves to `/…/j/beside/it`. */
const asideOf = (at: string): string => at.replace(/\/[^/]+\/[^/]+$/, '/beside');
/** At the top there is no directory beside; reclaiming has no path. */
const isPossible = ([name, depth]: readonly [Operation, number]): boolean =>
  name !== 'reclaim-100' && (name !== 'rename-directory' || depth > 1);

type Act = (namespace: RunningNamespace, at: string) => Promise<unknown>;
const ACTS: Readonly<Record<Operation, Act>> = {
  stat: (namespace, at) => namespace.stat(root, path(at)),
  list: (namespace, at) => namespace.list(root, path(at), { limit: 1000 }),
  create: (namespace, at) => namespace.create(root, path(at), { mode: 0o644 }),
  unlink: (namespace, at) => namespace.remove(root, path(at), 'file'),
  chmod: (namespace, at) => namespace.setAttributes(root, path(at), { mode: 0o600 }),
  mkdir: (namespace, at) => namespace.mkdir(root, path(at), { mode: 0o755 }),
  rmdir: (namespace, at) => namespace.remove(root, path(at), 'directory'),
  'rename-file': (namespace, at) => namespace.rename(root, path(at), path(`${at}-moved`)),
  'rename-directory': (namespace, at) => namespace.rename(root, path(at), path(`${asideOf(at)}/moved`)),
  'remove-tree': (namespace, at) => namespace.removeTree(root, path(at)),
  'reclaim-100': (namespace) => namespace.catchUp(() => false),
};
