import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EmbeddedMetastore } from '#agent/embedded/heap-metastore.ts';
import { isFault } from '#shared/model/faults.ts';
import { type InodeId, ROOT } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import { openNamespace, type Opened, path, ROOT_USER as root } from '../support/namespace.ts';
import { randomFrom, yieldingMetastore } from '../support/yielding-metastore.ts';

const mode = 0o755;
const DIRECTORIES = ['/a', '/b', '/a/c', '/b/c', '/a/c/d'];
const ACTORS = 6;
const ACTS = 6;

/** What the actors were told. */
interface Told {
  readonly created: Map<InodeId, string>;
  readonly removed: Set<InodeId>;
  /** By a rename, which answers without a word about it: read from the commits. */
  readonly replaced: Set<InodeId>;
  /** Names of which each is used once, and whose making was refused: nobody may ever see them. */
  readonly refused: string[];
  readonly bugs: unknown[];
}

async function act(opened: Opened, told: Told, random: () => number, name: string): Promise<void> {
  const { namespace } = opened;
  const pick = () => DIRECTORIES[Math.floor(random() * DIRECTORIES.length)] ?? '/a';
  const dice = random();
  if (dice < 0.35) {
    const { id } = await namespace.create(root, path(`${pick()}/${name}`), { mode });
    told.created.set(id, name);
  } else if (dice < 0.5) {
    const { id } = await namespace.mkdir(root, path(pick()), { mode });
    told.created.set(id, 'directory');
  } else if (dice < 0.75) {
    const at = pick();
    const { id } = (await namespace.stat(root, path(at))).inode;
    await namespace.remove(root, path(at), 'directory', { id });
    told.removed.add(id);
  } else if (dice < 0.95) {
    await namespace.rename(root, path(pick()), path(pick()));
  } else await namespace.setAttributes(root, path(pick()), { mode: 0o700 });
}

async function play(opened: Opened, told: Told, random: () => number): Promise<void> {
  const actors = Array.from({ length: ACTORS }, async (_, actor) => {
    for (let i = 0; i < ACTS; i++) {
      const name = `f${actor}-${i}`;
      try {
        await act(opened, told, random, name);
      } catch (error) {
        if (!isFault(error)) told.bugs.push(error);
        else if (error.kind !== 'unavailable') told.refused.push(name);
      }
    }
  });
  await Promise.all(actors);
}

function watchingReplacements(inner: EmbeddedMetastore, replaced: Set<InodeId>): EmbeddedMetastore {
  return {
    ...inner,
    async commit(changes, options) {
      const before = await inner.get(changes.map(({ key }) => key));
      const result = await inner.commit(changes, options);
      for (const [i, change] of changes.entries()) {
        const [old, now] = [before[i], change.act === 'put' ? change.row : undefined];
        const areInodes = old && now && old.kind !== 'record' && now.kind !== 'record';
        if (result.committed && areInodes && old.id !== now.id) replaced.add(old.id);
      }
      return result;
    },
  };
}

/** Every row that can be reached, by id; finds circles and what is in two places. */
async function reachable(
  metastore: Metastore,
): Promise<{ inodes: Map<InodeId, Inode>; names: string[]; twice: number }> {
  const inodes = new Map<InodeId, Inode>();
  const names: string[] = [];
  let twice = 0;
  const visit = async (directory: InodeId): Promise<void> => {
    for (const { name, row } of await metastore.list(directory, { limit: 1000 })) {
      if (row.kind === 'record') continue;
      names.push(name);
      if (inodes.has(row.id)) twice++;
      else {
        inodes.set(row.id, row);
        if (row.kind === 'directory') await visit(row.id);
      }
    }
  };
  await visit(ROOT);
  return { inodes, names, twice };
}

async function run(seed: number, lossRate: number) {
  const random = randomFrom(seed);
  let isStormy = false;
  const told: Told = { created: new Map(), removed: new Set(), replaced: new Set(), refused: [], bugs: [] };
  const weather = { random, lossRate: () => (isStormy ? lossRate : 0) };
  const opened = await openNamespace({
    wrap: (inner) => yieldingMetastore(watchingReplacements(inner, told.replaced), weather),
    speed: lossRate > 0 ? 500 : 20,
  });
  for (const at of DIRECTORIES) await opened.namespace.mkdir(root, path(at), { mode, parents: true });
  isStormy = true;
  await play(opened, told, random);
  isStormy = false;
  return { opened, told, ...(await reachable(opened.metastore)) };
}

describe('many at once in the same directories', () => {
  it('lose nothing that was acknowledged, and see nothing that was refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const { opened, told, inodes, names, twice } = await run(seed, 0);
        expect(told.bugs).toEqual([]);
        expect(twice).toBe(0);
        for (const [id, what] of told.created) {
          // A directory may go by somebody's rmdir or rename over it; a file, whose name is its own, never.
          const mayBeGone = what === 'directory' && (told.removed.has(id) || told.replaced.has(id));
          expect({ what, isKept: mayBeGone || inodes.has(id) }).toEqual({ what, isKept: true });
        }
        expect(names.filter((name) => told.refused.includes(name))).toEqual([]);
        for (const id of [...told.removed, ...told.replaced]) {
          // Removed means removed, with nothing in it that anybody could miss.
          expect(inodes.has(id)).toBe(false);
          expect(await opened.metastore.list(id, { limit: 1 })).toEqual([]);
        }
        expect([...inodes.values()].filter(({ closing }) => closing)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('keep what was acknowledged though commits and their answers are lost, and nobody stays locked out', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const { opened, told, inodes, twice } = await run(seed, 0.05);
        expect(told.bugs).toEqual([]);
        expect(twice).toBe(0);
        const files = [...told.created].filter(([, what]) => what !== 'directory');
        expect(files.filter(([id]) => !inodes.has(id))).toEqual([]);
        // Whatever marks the storm has left, their leases end.
        opened.advance(100_000);
        await opened.namespace.mkdir(root, path('/a'), { mode, parents: true });
        await opened.namespace.create(root, path('/a/after'), { mode });
      }),
      { numRuns: 50 },
    );
  });
});
