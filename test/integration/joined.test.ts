import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReadRows } from '#agent/joined/remote-rows.ts';
import { drawnId, foretoldId } from '#functions/drivers/ids.ts';
import { touchedRows } from '#functions/touched-rows.ts';
import { toLeatError } from '#shared/model/faults.ts';
import { createNamespace } from '#shared/namespace/create-namespace.ts';
import type { NamespaceDeps } from '#shared/namespace/context.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import { memoryUnderStore } from '#shared/under-stores/memory.ts';
import {
  bytes,
  contentOf,
  mountOf,
  openNamespace,
  path,
  reachThrough,
  refused,
  ROOT_USER,
} from '../support/namespace.ts';
import { joinedTo, losing, remoteOver } from '../support/remote.ts';

const root = ROOT_USER;
const mode = 0o755;

/** Keeps whatever it has read for ever, but for what it is told to forget: the worst that a copy can be. */
function keptForEver(rows: ReadRows) {
  const known = new Map<string, Promise<unknown>>();
  const keep = <Value>(key: string, read: () => Promise<Value>) => {
    const value = (known.get(key) ?? read()) as Promise<Value>;
    known.set(key, value);
    return value;
  };
  const textOf = ({ directory, name }: RowKey) => `${directory}\u0100${name}`;
  return {
    rows: {
      get: (keys) => Promise.all(keys.map((key) => keep(textOf(key), async () => (await rows.get([key]))[0]))),
      list: (directory, page) => keep(`${directory} ${JSON.stringify(page)}`, () => rows.list(directory, page)),
    } satisfies ReadRows,
    forget(keys: readonly RowKey[]) {
      for (const key of keys) {
        known.delete(textOf(key));
        for (const each of known.keys()) if (each.startsWith(`${key.directory} `)) known.delete(each);
      }
    },
  };
}

/** A namespace of a cloud, on a heap, and what joins it. */
async function cloud() {
  let made: NamespaceDeps | undefined;
  reachThrough(async (_, deps) => {
    made = deps;
    return {};
  });
  const { namespace: first } = await openNamespace({ isShared: true, directoryIdOf: foretoldId });
  const deps = made as NamespaceDeps;
  const { metastore, recorded } = touchedRows(deps.metastore);
  const namespace = await createNamespace({ ...deps, metastore, newId: drawnId });
  const join = (joining: Parameters<typeof joinedTo>[2] = {}) => joinedTo(namespace, deps, { recorded, ...joining });
  return { namespace, first, deps, join };
}

async function treeOf(namespace: Namespace, at = '/'): Promise<string[]> {
  const { entries } = await namespace.list(root, path(at), { limit: 100 });
  const below = entries.map(async ({ name, inode }) => {
    const each = `${at === '/' ? '' : at}/${name}`;
    const { mode: bits } = (await namespace.stat(root, path(each))).inode;
    const line = `${each} ${inode.kind} ${bits.toString(8)} ${inode.target ?? ''}`;
    return inode.kind === 'directory' ? [line, ...(await treeOf(namespace, each))] : [line];
  });
  return (await Promise.all(below)).flat();
}

describe('an agent sees what it has changed, whatever it keeps', () => {
  const Place = fc
    .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
    .map((names) => path(`/${names.join('/')}`));
  const Act = fc.oneof(
    fc.record({
      act: fc.constantFrom('mkdir', 'parents', 'create', 'symlink', 'unlink', 'rmdir', 'tree', 'chmod'),
      at: Place,
    }),
    fc.record({ act: fc.constant('rename'), at: Place, to: Place }),
  );
  type Act = { readonly act: string; readonly at: ReturnType<typeof path>; readonly to?: ReturnType<typeof path> };

  function done(namespace: Namespace, { act, at, to = at }: Act): Promise<unknown> {
    if (act === 'mkdir') return namespace.mkdir(root, at, { mode });
    if (act === 'parents') return namespace.mkdir(root, at, { mode, parents: true });
    if (act === 'create') return namespace.create(root, at, { mode });
    if (act === 'symlink') return namespace.symlink(root, at, '/a');
    if (act === 'unlink') return namespace.remove(root, at, 'file');
    if (act === 'rmdir') return namespace.remove(root, at, 'directory');
    if (act === 'tree') return namespace.removeTree(root, at);
    if (act === 'chmod') return namespace.setAttributes(root, at, { mode: 0o700 });
    return namespace.rename(root, at, to);
  }

  // Which of several reasons is told may differ by how often it is asked.
  const areFailures = (...outcomes: string[]) => outcomes.every((outcome) => outcome !== 'done');
  const isRemoval = ({ act }: Act) => ['unlink', 'rmdir', 'tree'].includes(act);
  const outcomeOf = (act: Promise<unknown>) =>
    act.then(
      () => 'done',
      (error: unknown) => toLeatError(error).kind,
    );

  it.each([
    ['', undefined],
    [' and every other answer gets lost', losing((count) => count % 2 === 1)],
  ])('through any changes of its own%s', async (_, wrap) => {
    await fc.assert(
      fc.asyncProperty(fc.array(Act, { maxLength: 25 }), async (acts) => {
        const { namespace, join } = await cloud();
        const agent = await join({ kept: keptForEver, ...(wrap && { wrap }) });
        const { namespace: model } = await openNamespace();
        for (const act of acts) {
          const [outcome, wanted] = [await outcomeOf(done(agent, act)), await outcomeOf(done(model, act))];
          // Of a removal that is repeated nobody can say whether it has removed what is not there.
          const isUnsure = wrap !== undefined && isRemoval(act) && wanted === 'notFound' && outcome === 'done';
          expect(isUnsure || outcome === wanted || (wrap && areFailures(outcome, wanted))).toBe(true);
          const tree = await treeOf(agent);
          expect(tree).toEqual(await treeOf(namespace));
          expect(tree).toEqual(await treeOf(model));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('when others have led its way elsewhere', async () => {
    const { join } = await cloud();
    const [one, other] = [await join({ kept: keptForEver }), await join({ kept: keptForEver })];
    await one.mkdir(root, path('/a/b'), { mode, parents: true });
    await one.create(root, path('/a/b/old'), { mode });
    await other.rename(root, path('/a'), path('/gone'));
    await other.mkdir(root, path('/a/b'), { mode, parents: true });
    expect((await one.stat(root, path('/a/b/old'))).inode.kind).toBe('file');
    await one.create(root, path('/a/b/new'), { mode });
    expect(await treeOf(one)).toEqual(await treeOf(other));
  });

  it('when the API tells it that it was wrong', async () => {
    const { join } = await cloud();
    const [one, other] = [await join({ kept: keptForEver }), await join()];
    await refused('notFound', one.stat(root, path('/a')));
    await other.create(root, path('/a'), { mode });
    await refused('notFound', one.stat(root, path('/a')));
    await refused('exists', one.create(root, path('/a'), { mode }));
    expect((await one.stat(root, path('/a'))).inode.kind).toBe('file');
  });
});

describe('two agents over one API', () => {
  it('see each other’s changes, and one of two that do the same wins', async () => {
    const { namespace, join } = await cloud();
    const [one, other] = [await join(), remoteOver(namespace)];
    const creates = Array.from({ length: 50 }, (_, i) =>
      [one, other].map((each) => each.create(root, path(`/${i}`), { mode })),
    );
    const outcomes = await Promise.all(creates.map((pair) => Promise.allSettled(pair)));
    expect(outcomes.map((pair) => pair.filter(({ status }) => status === 'fulfilled').length)).toEqual(
      Array(50).fill(1),
    );
    await one.rename(root, path('/0'), path('/moved'));
    expect((await other.stat(root, path('/moved'))).inode.id).toBe((await one.stat(root, path('/moved'))).inode.id);
    expect(await treeOf(one)).toEqual(await treeOf(other));
  });

  it('lose none of their changes when answers get lost', async () => {
    const { namespace, join } = await cloud();
    const agents = [
      await join({ wrap: losing((count) => count % 3 === 0) }),
      await join({ wrap: losing((count) => count % 2 === 0) }),
    ];
    const made = agents.map(async (agent, a) => {
      for (let i = 0; i < 30; i++) {
        await agent.create(root, path(`/${a}-${i}`), { mode });
        await agent.rename(root, path(`/${a}-${i}`), path(`/${a}-${i}-moved`));
        if (i % 2 === 0) await agent.remove(root, path(`/${a}-${i}-moved`), 'file');
      }
    });
    await Promise.all(made);
    expect(await treeOf(namespace)).toHaveLength(30);
  });
});

describe('a store that is mounted', () => {
  it('is looked into by the API, and gets its bytes from the agent', async () => {
    const { join, deps } = await cloud();
    const agent = await join();
    await agent.mount(root, mountOf('/m'));
    const store = deps.storeOf({ ...mountOf('/m'), id: '' as never }) as ReturnType<typeof memoryUnderStore>;
    await store.write('there' as never, bytes('before'));
    expect((await agent.list(root, path('/m'), { limit: 10 })).entries.map(({ name }) => name)).toEqual(['there']);
    const written = await agent.write(root, path('/m/new'), bytes('hello'), { mode });
    expect([written.size, (await agent.stat(root, path('/m/new'))).inode.fingerprint]).toEqual([
      5,
      written.fingerprint,
    ]);
    await agent.write(root, path('/m/new'), bytes('again'), { mode });
    expect(await contentOf(store)).toEqual({ there: 'before', new: 'again' });
  });

  it('keeps what another has written meanwhile', async () => {
    const { join, deps } = await cloud();
    const agent = await join();
    await agent.mount(root, mountOf('/m'));
    const store = deps.storeOf({ ...mountOf('/m'), id: '' as never });
    async function* slow() {
      await store.write('f' as never, bytes('theirs'));
      yield* bytes('mine');
    }
    await refused('changed', agent.write(root, path('/m/f'), slow(), { mode }));
    expect(await contentOf(store)).toEqual({ f: 'theirs' });
  });
});
