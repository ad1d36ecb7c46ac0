import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EmbeddedMetastore } from '#agent/embedded/heap-metastore.ts';
import { isFault } from '#shared/model/faults.ts';
import { QUOTAS } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import type { Usage } from '#shared/model/quota.ts';
import { UsageTree } from '#shared/namespace/usage-tree.ts';
import { openers } from '../support/metastores.ts';
import { openNamespace, type Opened, path, ROOT_USER as root } from '../support/namespace.ts';

const mode = 0o755;
const PLENTY = { bytes: 2 ** 40, entries: 2 ** 40 };

type Act =
  | { readonly act: 'mkdir' | 'create' | 'removeTree' | 'setQuota' | 'removeQuota' | 'look'; readonly at: string }
  | { readonly act: 'remove'; readonly at: string; readonly kind: 'file' | 'directory' }
  | { readonly act: 'rename' | 'link'; readonly at: string; readonly to: string }
  | { readonly act: 'write'; readonly at: string; readonly size: number };

const name = fc.constantFrom('a', 'b', 'c', 'd');
const at = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `/${names.join('/')}`);
const one = (act: 'mkdir' | 'create' | 'removeTree' | 'setQuota' | 'removeQuota' | 'look') =>
  at.map((place): Act => ({ act, at: place }));
const act: fc.Arbitrary<Act> = fc.oneof(
  one('mkdir'),
  one('mkdir'),
  one('create'),
  one('create'),
  one('removeTree'),
  one('setQuota'),
  one('setQuota'),
  one('removeQuota'),
  one('look'),
  fc.record({ act: fc.constant('remove'), at, kind: fc.constantFrom('file', 'directory') }),
  fc.record({ act: fc.constant('rename'), at, to: at }),
  fc.record({ act: fc.constant('rename'), at, to: at }),
  fc.record({ act: fc.constant('link'), at, to: at }),
  fc.record({ act: fc.constant('write'), at, size: fc.nat(9) }),
);
/** What is done at once, one after another. */
const acts = fc.array(fc.array(act, { minLength: 1, maxLength: 4 }), { minLength: 5, maxLength: 30, size: 'max' });

/** Answers of lists come late: what they tell has been changed since. */
function slowLists(metastore: EmbeddedMetastore): EmbeddedMetastore {
  return {
    ...metastore,
    async list(directory, page) {
      const rows = await metastore.list(directory, page);
      for (let turns = rows.length; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      return rows;
    },
  };
}

async function run({ namespace }: Opened, base: string, act: Act): Promise<unknown> {
  const place = path(base + act.at);
  switch (act.act) {
    case 'mkdir':
      return namespace.mkdir(root, place, { mode, parents: true });
    case 'create':
      return namespace.create(root, place, { mode, holder: 'me' });
    case 'removeTree':
      return namespace.removeTree(root, place);
    case 'setQuota':
      return namespace.setQuota(root, place, PLENTY);
    case 'removeQuota':
      return namespace.removeQuota(root, place);
    case 'look':
      return namespace.room(root, place);
    case 'remove':
      return namespace.remove(root, place, act.kind);
    case 'rename':
      return namespace.rename(root, place, path(base + act.to));
    case 'link':
      return namespace.link(root, place, path(base + act.to));
    case 'write': {
      const { inode } = await namespace.stat(root, place);
      const directory = (await namespace.stat(root, path((base + act.at).replace(/\/[^/]+$/, '')))).inode.id;
      const file = { directory, name: act.at.slice(act.at.lastIndexOf('/') + 1) as Name, id: inode.id };
      const content = { size: act.size, mtime: 0n, holder: 'me', generation: inode.generation };
      return inode.kind === 'file' ? namespace.written(root, file, content) : undefined;
    }
  }
}

async function quietly(opened: Opened, base: string, act: Act): Promise<void> {
  try {
    await run(opened, base, act);
  } catch (error) {
    if (!isFault(error)) throw error;
  }
}

/** Counted anew, by what anybody sees: the bytes of a file with several names at the first. */
async function walked(opened: Opened, below: string): Promise<Usage> {
  let [entries, bytes] = [0, 0];
  const { namespace } = opened;
  const directory = (await namespace.stat(root, path(below))).inode.id;
  const listing = await namespace.list(root, path(below), { limit: 1000 });
  for (const { name: each, inode } of listing.entries) {
    const isDirectory = inode.kind === 'directory';
    const deeper = isDirectory ? await walked(opened, `${below}/${each}`) : { entries: 0, bytes: 0 };
    const [first] = inode.links ?? [];
    const isElsewhere = first && (first.directory !== directory || first.name !== each);
    entries += 1 + deeper.entries;
    bytes += (inode.kind === 'file' && !isElsewhere ? inode.size : 0) + deeper.bytes;
  }
  return { entries, bytes };
}

const open = openers();
let bases = 0;

describe.each(['heap', 'lmdb'] as const)('the usage of quota trees, over %s', (engine) => {
  it('is what a walk finds, after whatever was done at once, and when it is counted anew', async () => {
    const { metastore, feed } = await open[engine]();
    const opened = await openNamespace({ metastore, feed, wrap: slowLists });
    const { namespace } = opened;
    await fc.assert(
      fc.asyncProperty(acts, async (batches) => {
        const base = `/${bases++}`;
        await namespace.mkdir(root, path(base), { mode });
        await namespace.setQuota(root, path(base), PLENTY);
        for (const batch of batches) {
          await Promise.all(batch.map((each) => quietly(opened, base, each)));
          const quotas = await namespace.quotas(root, path(base));
          for (const { path: of, used } of quotas)
            expect({ of, ...used }).toEqual({ of, ...(await walked(opened, of)) });
        }
        const anew = new UsageTree({
          metastore: slowLists(metastore),
          feed,
          sleep: async () => {},
          log: () => {},
          pageRows: 2,
        });
        await anew.start();
        for (const each of batches.slice(0, 5).flat()) await quietly(opened, base, each);
        const { id } = (await namespace.stat(root, path(base))).inode;
        await anew.counted(id);
        expect(anew.now(id)).toEqual(await walked(opened, base));
        await anew.stop();
        await namespace.removeTree(root, path(base));
      }),
      { numRuns: engine === 'heap' ? 80 : 30 },
    );
  });

  it('never passes the limits, however many make things at once', async () => {
    const { metastore, feed } = await open[engine]();
    const opened = await openNamespace({ metastore, feed });
    const limits = fc.record({ entries: fc.nat(12), bytes: fc.nat(30) });
    // Bytes of a file with several names come into the tree of another when the first goes, and nobody asks.
    const making = act.filter((each) => !['setQuota', 'removeQuota', 'link'].includes(each.act));
    const many = fc.array(fc.array(making, { minLength: 1, maxLength: 8 }), {
      minLength: 5,
      maxLength: 20,
      size: 'max',
    });
    await fc.assert(
      fc.asyncProperty(limits, many, async (limit, batches) => {
        const base = `/${bases++}`;
        for (const each of ['', '/a', '/b']) await opened.namespace.mkdir(root, path(base + each), { mode });
        await opened.namespace.setQuota(root, path(`${base}/a`), limit);
        for (const batch of batches) {
          await Promise.all(batch.map((each) => quietly(opened, base, each)));
          for (const { used } of await opened.namespace.quotas(root, path(base))) {
            expect(used.entries).toBeLessThanOrEqual(limit.entries);
            expect(used.bytes).toBeLessThanOrEqual(limit.bytes);
          }
        }
        await opened.namespace.removeTree(root, path(base));
        // Of quotas that went with their trees nothing is kept.
        expect(await opened.namespace.quotas(root, path('/'))).toEqual([]);
        expect(await metastore.list(QUOTAS, { limit: 1 })).toEqual([]);
      }),
      { numRuns: engine === 'heap' ? 100 : 30 },
    );
  });
});
