import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoreKey } from '#shared/model/inode.ts';
import { isFault } from '#shared/model/faults.ts';
import { fromText, toText } from '#shared/model/names.ts';
import { entriesOf } from '#shared/namespace/store-tree.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { openers } from '../support/metastores.ts';
import { bytes, mountOf, openNamespace, type Opened, path, ROOT_USER as root, textOf } from '../support/namespace.ts';
import { TreeModel } from '../support/tree-model.ts';
import { type WatchedStore, watchedStore } from '../support/watched-store.ts';

const mode = 0o755;

type Act =
  | { readonly act: 'mkdir' | 'mkdirAll' | 'create' | 'removeTree' | 'stat' | 'chmod'; readonly at: string }
  | { readonly act: 'remove'; readonly at: string; readonly kind: 'file' | 'directory' }
  | { readonly act: 'rename' | 'link'; readonly at: string; readonly to: string }
  | { readonly act: 'symlink'; readonly at: string; readonly target: string }
  | { readonly act: 'write'; readonly at: string; readonly text: string }
  | { readonly act: 'sync' | 'settle' | 'reopen' };

// Few names, so that acts meet; one of them stands between another and its own children in a store's order.
const name = fc.constantFrom('a', 'a', 'b', 'b', 'a-', 'ä');
const at = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `/${names.join('/')}`);
const one = (act: 'mkdir' | 'mkdirAll' | 'create' | 'removeTree' | 'stat' | 'chmod') =>
  at.map((place): Act => ({ act, at: place }));
const treeActs: fc.Arbitrary<Act>[] = [
  one('mkdir'),
  one('mkdirAll'),
  one('mkdirAll'),
  one('create'),
  one('create'),
  one('removeTree'),
  one('stat'),
  one('chmod'),
  fc.record({ act: fc.constant('remove'), at, kind: fc.constantFrom('file', 'directory') }),
  fc.record({ act: fc.constantFrom('rename', 'link'), at, to: at }),
  fc.record({ act: fc.constant('rename'), at, to: at }),
  fc.record({ act: fc.constant('link'), at, to: at }),
  fc.record({ act: fc.constant('symlink'), at, target: fc.constantFrom('a', 'b/c', 'c', 'a/b') }),
];
const storeActs: fc.Arbitrary<Act>[] = [
  fc.record({ act: fc.constant('write'), at, text: fc.constantFrom('one', 'two words', '') }),
  fc.record({ act: fc.constantFrom('sync', 'sync', 'settle', 'reopen') }),
];

const sequence = (acts: readonly fc.Arbitrary<Act>[]) =>
  fc.array(fc.oneof(...acts), { minLength: 10, maxLength: 60, size: 'max' });

/** What both sides say to an act: nothing, or the kind of a refusal. Anything else is a bug and passes through. */
async function verdict(run: () => unknown): Promise<string> {
  try {
    await run();
    return 'done';
  } catch (error) {
    if (isFault(error)) return error.kind;
    throw error;
  }
}

function inModel(model: TreeModel, act: Act): void {
  switch (act.act) {
    case 'remove':
      return model.remove(act.at, act.kind);
    case 'rename':
      return model.rename(act.at, act.to);
    case 'link':
      return model.link(act.at, act.to);
    case 'symlink':
      return model.symlink(act.at, act.target);
    case 'write':
      return model.write(act.at, act.text);
    case 'chmod':
    case 'stat':
      return void model.stat(act.at);
    case 'mkdir':
    case 'mkdirAll':
    case 'create':
    case 'removeTree':
      return model[act.act](act.at);
    case 'sync':
    case 'settle':
    case 'reopen':
  }
}

/** The namespace under test, and the directory in it that stands for the model's root. */
class Subject {
  #opened: Opened;
  readonly #base: string;

  constructor(opened: Opened, base: string) {
    this.#opened = opened;
    this.#base = base;
  }

  async run(act: Act): Promise<unknown> {
    const { namespace, settled, reopen } = this.#opened;
    const place = (each: string) => path(this.#base + each);
    switch (act.act) {
      case 'mkdir':
        return namespace.mkdir(root, place(act.at), { mode });
      case 'mkdirAll':
        return namespace.mkdir(root, place(act.at), { mode, parents: true });
      case 'create':
        return namespace.create(root, place(act.at), { mode });
      case 'removeTree':
        return namespace.removeTree(root, place(act.at));
      case 'stat':
        return namespace.stat(root, place(act.at));
      case 'chmod':
        return namespace.setAttributes(root, place(act.at), { mode: 0o700 });
      case 'remove':
        return namespace.remove(root, place(act.at), act.kind);
      case 'rename':
        return namespace.rename(root, place(act.at), place(act.to));
      case 'link':
        return namespace.link(root, place(act.at), place(act.to));
      case 'symlink':
        return namespace.symlink(root, place(act.at), act.target);
      case 'write':
        return namespace.write(root, place(act.at), bytes(act.text), { mode });
      case 'sync':
        return namespace.sync(root, path(this.#base), { recursive: true });
      case 'settle':
        return settled();
      case 'reopen':
        await namespace.close();
        this.#opened = await reopen();
        return undefined;
    }
  }

  settled(): Promise<void> {
    return this.#opened.settled();
  }

  /** As the model tells its own; the text of a file is its size here. */
  async entries(below = ''): Promise<Record<string, string | number>> {
    const found: Record<string, string | number> = {};
    const { entries } = await this.#opened.namespace.list(root, path(`${this.#base}${below}`), { limit: 1000 });
    for (const { name: each, inode } of entries) {
      const key = `${below}/${toText(each)}`.slice(1);
      if (inode.kind === 'directory') Object.assign(found, { [`${key}/`]: '' }, await this.entries(`/${key}`));
      else found[key] = inode.kind === 'file' ? inode.size : `-> ${inode.target}`;
    }
    return found;
  }
}

function expected(model: TreeModel): Record<string, string | number> {
  const sized = ([key, text]: [string, string]) => [
    key,
    key.endsWith('/') || text.startsWith('->') ? text : Buffer.byteLength(text),
  ];
  return Object.fromEntries(Object.entries(model.entries()).map(sized as never)) as Record<string, string | number>;
}

async function contents(store: UnderStore, directory = ''): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key, kind, target } of entriesOf(store, directory as StoreKey)) {
    const shown = toText(key);
    if (kind === 'directory') Object.assign(found, { [`${shown}/`]: '' }, await contents(store, key));
    else found[shown] = kind === 'symlink' ? `-> ${target}` : await textOf(store, key);
  }
  return found;
}

/** What a store has of the model: of what has several names one, whichever. */
function stored(model: TreeModel, there: Readonly<Record<string, string>>): Record<string, string> {
  const entries = model.entries();
  for (const names of model.shared()) {
    const kept = names.find((each) => there[each] !== undefined) ?? names[0];
    for (const each of names) if (each !== kept) delete entries[each];
  }
  return entries;
}

/** Files that were in the store before it was mounted, and their directories. */
async function fill(store: WatchedStore, model: TreeModel, files: readonly string[]): Promise<void> {
  for (const each of files) {
    await verdict(() => {
      model.mkdirAll(each.slice(0, each.lastIndexOf('/')));
      model.write(each, each);
    });
  }
  for (const [key, text] of Object.entries(model.entries())) {
    if (key.endsWith('/')) await store.makeDirectory(fromText(key.slice(0, -1)) as StoreKey);
    else await store.put({ [fromText(key)]: text });
  }
}

describe('a namespace agrees with a tree in memory', () => {
  const open = openers();
  let bases = 0;

  it.each(['heap', 'lmdb'] as const)('over %s', async (engine) => {
    const { metastore } = await open[engine]();
    const opened = await openNamespace({ metastore });
    await fc.assert(
      fc.asyncProperty(sequence(treeActs), async (acts) => {
        const base = `/${bases++}`;
        await opened.namespace.mkdir(root, path(base), { mode });
        const model = new TreeModel();
        const subject = new Subject(opened, base);
        for (const act of acts) {
          const said = await verdict(() => subject.run(act));
          expect({ act, said }).toEqual({ act, said: await verdict(() => inModel(model, act)) });
        }
        expect(await subject.entries()).toEqual(expected(model));
      }),
      { numRuns: engine === 'heap' ? 150 : 60 },
    );
  });

  it.each(['heap', 'lmdb'] as const)('over %s, and its store with both', async (engine) => {
    await fc.assert(
      fc.asyncProperty(
        sequence([...treeActs, ...storeActs]),
        fc.array(at, { maxLength: 8 }),
        fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 4 }),
        async (acts, files, failures) => {
          const store = watchedStore();
          const model = new TreeModel();
          await fill(store, model, files);
          const { metastore } = await open[engine]();
          const opened = await openNamespace({ metastore, storeOf: () => store, speed: 200 });
          await opened.namespace.mount(root, mountOf('/m'));
          let calls = 0;
          store.meets = (call) =>
            /^(copy|remove|make|set)/.test(call) && failures.includes(calls++) ? 'unavailable' : undefined;
          const subject = new Subject(opened, '/m');
          for (const act of acts) {
            const said = await verdict(() => subject.run(act));
            expect({ act, said }).toEqual({ act, said: await verdict(() => inModel(model, act)) });
          }
          expect(await subject.entries()).toEqual(expected(model));
          await subject.settled();
          const there = await contents(store);
          expect(there).toEqual(stored(model, there));
          await subject.run({ act: 'sync' });
          expect(await subject.entries()).toEqual(expected(model));
        },
      ),
      { numRuns: engine === 'heap' ? 150 : 25 },
    );
  });
});
