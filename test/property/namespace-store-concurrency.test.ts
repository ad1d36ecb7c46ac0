import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isFault } from '#shared/model/faults.ts';
import type { StoreKey } from '#shared/model/inode.ts';
import { entriesOf } from '#shared/namespace/store-tree.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { bytes, mountOf, openNamespace, type Opened, path, ROOT_USER as root } from '../support/namespace.ts';
import { watchedStore } from '../support/watched-store.ts';
import { randomFrom, yieldingMetastore } from '../support/yielding-metastore.ts';

const mode = 0o755;
const PLACES = ['/m/a', '/m/b', '/m/a/c', '/m/b/c', '/m/a/f', '/m/a/c/g', '/m/f'];
const ACTORS = 4;
const ACTS = 6;

/** Acts of all kinds; what they answer is another property's matter. */
async function act({ namespace }: Opened, random: () => number): Promise<unknown> {
  const pick = () => path(PLACES[Math.floor(random() * PLACES.length)] ?? '/m/a');
  const acts = [
    () => namespace.mkdir(root, pick(), { mode }),
    () => namespace.create(root, pick(), { mode }),
    () => namespace.write(root, pick(), bytes('x'.repeat(Math.floor(random() * 9))), { mode }),
    () => namespace.rename(root, pick(), pick()),
    () => namespace.rename(root, pick(), pick()),
    () => namespace.remove(root, pick(), 'file'),
    () => namespace.remove(root, pick(), 'directory'),
    () => namespace.removeTree(root, pick()),
    () => namespace.setAttributes(root, pick(), { mode: 0o700 }),
    () => namespace.list(root, pick(), { limit: 100 }),
    () => namespace.sync(root, path('/m'), { recursive: true }),
  ];
  return acts[Math.floor(random() * acts.length)]?.();
}

async function play(opened: Opened, random: () => number, bugs: unknown[]): Promise<void> {
  const actors = Array.from({ length: ACTORS }, async () => {
    for (let i = 0; i < ACTS; i++) {
      await act(opened, random).catch((error: unknown) => {
        if (!isFault(error)) bugs.push(error);
      });
    }
  });
  await Promise.all(actors);
}

async function rowsBelow({ namespace }: Opened, at = '/m', prefix = ''): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { name, inode } of (await namespace.list(root, path(at), { limit: 1000 })).entries) {
    if (inode.kind === 'directory') {
      found[`${prefix}${name}/`] = 0;
      Object.assign(found, await rowsBelow({ namespace } as Opened, `${at}/${name}`, `${prefix}${name}/`));
    } else found[`${prefix}${name}`] = inode.size;
  }
  return found;
}

async function objectsBelow(store: UnderStore, directory = ''): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for await (const { key, kind, size } of entriesOf(store, directory as StoreKey)) {
    if (kind === 'directory') Object.assign(found, { [`${key}/`]: 0 }, await objectsBelow(store, key));
    else found[key] = size;
  }
  return found;
}

it('a store has in the end what the namespace shows, whatever many did at once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const random = randomFrom(seed);
      const store = watchedStore();
      for (const key of ['a', 'a/c', 'b']) await store.makeDirectory(key as StoreKey);
      await store.put({ 'a/f': 'first', 'a/c/g': 'second' });
      const opened = await openNamespace({
        storeOf: () => store,
        wrap: (inner) => yieldingMetastore(inner, { random }),
        speed: 20,
      });
      await opened.namespace.mount(root, mountOf('/m'));
      store.meets = async () => {
        for (let turns = Math.floor(random() * 6); turns > 0; turns--) await new Promise(setImmediate);
      };
      const bugs: unknown[] = [];
      await play(opened, random, bugs);
      await opened.settled();
      store.meets = undefined;
      expect(bugs).toEqual([]);
      expect((await opened.namespace.owed()).failed).toEqual([]);
      const rows = await rowsBelow(opened);
      expect(rows).toEqual(await objectsBelow(store));
      await opened.namespace.sync(root, path('/m'), { recursive: true });
      expect(await rowsBelow(opened)).toEqual(rows);
    }),
    { numRuns: 150 },
  );
});
