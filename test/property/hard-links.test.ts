import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFault } from '#shared/model/faults.ts';
import { type InodeId, LINKED, ROOT, TRASH } from '#shared/model/ids.ts';
import { type HardLink, type Inode, isSpecialKind, type StoreKey } from '#shared/model/inode.ts';
import { toText } from '#shared/model/names.ts';
import { entriesOf } from '#shared/namespace/store-tree.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { bytes, mountOf, openNamespace, type Opened, path, ROOT_USER as root } from '../support/namespace.ts';
import { watchedStore } from '../support/watched-store.ts';
import { randomFrom, yieldingMetastore } from '../support/yielding-metastore.ts';

const mode = 0o755;
const FILES = ['/m/f', '/m/g', '/m/a/f', '/m/a/g', '/m/a/c/f', '/m/b/f'];
const DIRECTORIES = ['/m/a', '/m/b', '/m/a/c', '/m/b/c'];
const ACTORS = 4;
const ACTS = 8;

/** Acts of all kinds; what they answer is another property's matter. */
async function act({ namespace }: Opened, random: () => number, isMounted: boolean): Promise<unknown> {
  const pick = (places: readonly string[]) => path(places[Math.floor(random() * places.length)] ?? '/m/f');
  const file = () => pick(FILES);
  const directory = () => pick(DIRECTORIES);
  const acts = [
    () => namespace.create(root, file(), { mode }),
    () => namespace.mknod(root, file(), { mode, kind: 'fifo' }),
    () => namespace.mkdir(root, directory(), { mode, parents: true }),
    ...Array.from({ length: 5 }, () => () => namespace.link(root, file(), file())),
    () => namespace.remove(root, file(), 'file'),
    () => namespace.remove(root, file(), 'file'),
    () => namespace.remove(root, directory(), 'directory'),
    () => namespace.removeTree(root, directory()),
    () => namespace.removeTree(root, file()),
    () => namespace.rename(root, file(), file()),
    () => namespace.rename(root, file(), file()),
    () => namespace.rename(root, directory(), directory()),
    () => namespace.setAttributes(root, file(), { mode: 0o600 }),
    () => namespace.catchUp(() => false),
    ...(isMounted
      ? [
          () => namespace.write(root, file(), bytes('x'.repeat(Math.floor(random() * 9))), { mode }),
          () => namespace.sync(root, path('/m'), { recursive: true }),
        ]
      : []),
  ];
  return acts[Math.floor(random() * acts.length)]?.();
}

async function play(opened: Opened, random: () => number, isMounted: boolean): Promise<unknown[]> {
  const bugs: unknown[] = [];
  const actors = Array.from({ length: ACTORS }, async () => {
    for (let i = 0; i < ACTS; i++) {
      await act(opened, random, isMounted).catch((error: unknown) => {
        // To be told that others are always quicker would mean that rows cannot be changed any more.
        if (!isFault(error) || error.kind === 'contended') bugs.push(error);
      });
      if (random() < 0.1) opened.advance(10_000);
    }
  });
  await Promise.all(actors);
  return bugs;
}

interface Kept {
  readonly at: HardLink;
  readonly inode: Inode;
  readonly path: string;
}

/** All rows of inodes, also those that no path leads to any more. */
async function allKept(metastore: Metastore, directory: InodeId = ROOT, above = ''): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (const { name, row } of await metastore.list(directory, { limit: 1000 })) {
    if (row.kind === 'record') continue;
    const each = { at: { directory, name }, inode: row, path: `${above}/${toText(name)}` };
    kept.push(each);
    if (row.kind === 'directory') kept.push(...(await allKept(metastore, row.id, each.path)));
  }
  return kept;
}

const textOfAll = (kept: readonly Kept[]) =>
  kept.map(({ path: at, inode }) => `${at} ${textOfInode(inode)}`).join('\n');

/** With what lies in the trash, all as it was at one moment: the reclaimer may be at work, and takes names off what was read before. */
async function allAtOnce(metastore: Metastore): Promise<readonly Kept[]> {
  const read = async () => [...(await allKept(metastore)), ...(await allKept(metastore, TRASH))];
  for (let before = await read(); ;) {
    const now = await read();
    if (textOfAll(now) === textOfAll(before)) return now;
    before = now;
  }
}

const placeText = ({ directory, name }: HardLink) => `${Buffer.from(directory, 'latin1').toString('hex')}/${name}`;

/** At all names of an inode the same row, which says all the names. */
function faultsIn(kept: readonly Kept[]): string[] {
  const files = kept.filter(({ inode }) => inode.kind !== 'directory');
  return [...Map.groupBy(files, ({ inode }) => inode.id).values()].flatMap((rows) => {
    const [first] = rows;
    const names = rows.map(({ at }) => placeText(at)).toSorted();
    const said = (first?.inode.links ?? [rows[0]?.at as HardLink]).map(placeText).toSorted();
    const areSame = rows.every(({ inode }) => isSameRow(inode, first?.inode));
    return areSame && names.join() === said.join()
      ? []
      : [`${first?.path}: ${names.join(' ')}, and said to be ${said.join(' ')}`];
  });
}

const textOfInode = (inode: Inode | undefined) =>
  JSON.stringify(inode, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
const isSameRow = (a: Inode, b: Inode | undefined) => textOfInode(a) === textOfInode(b);

async function objectsBelow(store: UnderStore, directory = ''): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for await (const { key, kind, size } of entriesOf(store, directory as StoreKey)) {
    if (kind === 'directory') Object.assign(found, await objectsBelow(store, key));
    else found[key] = size;
  }
  return found;
}

/** Where the objects have to be: each once, whatever names it has. */
function wantedObjects(kept: readonly Kept[]): Record<string, number> {
  const stored = kept.filter(({ inode }) => inode.kind !== 'directory' && !isSpecialKind(inode.kind));
  return Object.fromEntries(
    stored.map(({ inode, path: at }) => [inode.origin?.key ?? at.slice('/m/'.length), inode.size]),
  );
}

async function open(random: () => number, store?: ReturnType<typeof watchedStore>): Promise<Opened> {
  const opened = await openNamespace({
    ...(store && { storeOf: () => store }),
    wrap: (inner) => yieldingMetastore(inner, { random }),
    speed: 20,
  });
  if (store) await opened.namespace.mount(root, mountOf('/m'));
  for (const at of DIRECTORIES) await opened.namespace.mkdir(root, path(at), { mode, parents: true });
  for (const at of FILES.slice(0, 3)) await opened.namespace.create(root, path(at), { mode });
  await opened.namespace.link(root, path('/m/f'), path('/m/b/f'));
  await opened.settled();
  return opened;
}

/** What lies in the trash has gone, and with it the names that were in it. */
async function reclaimed({ namespace, metastore, advance }: Opened): Promise<readonly Kept[]> {
  advance(20_000);
  do await namespace.catchUp(() => false);
  while ((await metastore.list(TRASH, { limit: 1 })).length > 0);
  return allKept(metastore);
}

describe('names of inodes that many make, move and remove at once', () => {
  it('are what each of the rows says, and can be changed and removed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const random = randomFrom(seed);
        const opened = await open(random);
        expect(await play(opened, random, false)).toEqual([]);
        const { metastore, namespace } = opened;
        expect(faultsIn(await allAtOnce(metastore))).toEqual([]);
        const kept = await reclaimed(opened);
        expect(faultsIn(kept)).toEqual([]);
        for (const { inode, path: at } of kept) {
          if (inode.kind === 'directory') continue;
          await namespace.setAttributes(root, path(at), { mode: 0o640 });
          await namespace.remove(root, path(at), 'file');
        }
      }),
      { numRuns: 150 },
    );
  });

  it('have one object in a store, at the key of one of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const random = randomFrom(seed);
        const store = watchedStore();
        const opened = await open(random, store);
        store.meets = async () => {
          for (let turns = Math.floor(random() * 6); turns > 0; turns--) await new Promise(setImmediate);
        };
        expect(await play(opened, random, true)).toEqual([]);
        await opened.settled();
        const { namespace, metastore } = opened;
        expect((await namespace.owed()).failed).toEqual([]);
        const kept = await reclaimed(opened);
        expect(faultsIn(kept)).toEqual([]);
        expect(await objectsBelow(store)).toEqual(wantedObjects(kept));
        const linked = new Set(kept.filter(({ inode }) => inode.links && inode.origin).map(({ inode }) => inode.id));
        expect(await metastore.list(LINKED, { limit: 100 })).toHaveLength(linked.size);
        await namespace.sync(root, path('/m'), { recursive: true });
        expect((await allKept(metastore)).map(({ path: at }) => at)).toEqual(kept.map(({ path: at }) => at));
      }),
      { numRuns: 150 },
    );
  });
});
