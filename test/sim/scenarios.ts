import type { Operation } from './operations.ts';

/** What a run is about: few places, so that clients meet. */
export interface Scenario {
  readonly name: string;
  /** Made before: directories end in a slash. */
  readonly setup: readonly string[];
  readonly directories: readonly string[];
  readonly files: readonly string[];
  /** How often each act is drawn. */
  readonly acts: Readonly<Partial<Record<Act, number>>>;
  /** How many operations a client does, at most. */
  readonly operationsMax: number;
}

type Pick = <Item>(items: readonly Item[]) => Item;

type Act = Exclude<Operation['act'], 'rename'> | 'renameFile' | 'renameDirectory';

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'one directory goes, one entry comes',
    setup: ['/d/'],
    directories: ['/d'],
    files: ['/d/f'],
    acts: { create: 4, rmdir: 4, stat: 1, list: 1 },
    operationsMax: 2,
  },
  {
    name: 'one directory is renamed and removed while an entry comes',
    setup: ['/a/'],
    directories: ['/a', '/b'],
    files: ['/a/f', '/b/f'],
    acts: { create: 3, rmdir: 3, renameDirectory: 3, mkdir: 1, unlink: 1, stat: 1 },
    operationsMax: 2,
  },
  {
    name: 'directories move below each other',
    setup: ['/a/', '/b/', '/a/x/', '/b/y/'],
    directories: ['/a', '/b', '/a/x/b', '/b/y/a'],
    files: ['/a/x/f'],
    acts: { renameDirectory: 1 },
    operationsMax: 2,
  },
  {
    name: 'a tree goes while its parts are moved and filled',
    setup: ['/t/', '/t/u/', '/o/'],
    directories: ['/t', '/t/u', '/o/u', '/o/t'],
    files: ['/t/u/f', '/o/u/f'],
    acts: { create: 3, removeTree: 3, renameDirectory: 3, rmdir: 2, mkdir: 1, unlink: 1 },
    operationsMax: 2,
  },
  {
    name: 'entries come while their directory goes',
    setup: ['/d/'],
    directories: ['/d'],
    files: ['/d/f', '/d/g'],
    acts: { create: 6, unlink: 3, rmdir: 6, mkdir: 2, stat: 2, list: 2 },
    operationsMax: 5,
  },
  {
    name: 'directories are renamed under those who work in them',
    setup: ['/a/', '/b/'],
    directories: ['/a', '/b', '/c'],
    files: ['/a/f', '/b/f', '/c/f', '/a/g'],
    acts: { create: 5, unlink: 2, rmdir: 3, mkdir: 1, renameDirectory: 5, renameFile: 1, stat: 1, list: 1 },
    operationsMax: 5,
  },
  {
    name: 'directories are moved into one another',
    setup: ['/a/', '/b/', '/a/x/', '/b/y/'],
    directories: ['/a', '/b', '/a/x', '/b/y', '/a/b', '/b/a', '/a/x/b', '/b/y/a'],
    files: ['/a/x/f', '/b/y/f'],
    acts: { create: 1, rmdir: 1, renameDirectory: 8, stat: 1 },
    operationsMax: 5,
  },
  {
    name: 'trees go while others work in them',
    setup: ['/t/', '/t/u/', '/t/u/f', '/o/'],
    directories: ['/t', '/t/u', '/o', '/o/u', '/t/u/v'],
    files: ['/t/f', '/t/u/f', '/o/f', '/o/u/f'],
    acts: { create: 4, mkdir: 2, unlink: 1, rmdir: 1, removeTree: 3, renameDirectory: 3, renameFile: 2, list: 1 },
    operationsMax: 5,
  },
  {
    name: 'files take one another’s names',
    setup: ['/d/', '/e/', '/d/f'],
    directories: ['/d', '/e'],
    files: ['/d/f', '/d/g', '/e/f'],
    acts: { create: 4, unlink: 3, renameFile: 5, renameDirectory: 1, rmdir: 2, stat: 2, list: 2 },
    operationsMax: 5,
  },
];

/** Nothing goes away: a late request does no harm, and a repeated one has to know what it has made. */
export const CREATORS: Scenario = {
  name: 'many make the same things',
  setup: ['/d/'],
  directories: ['/d/e', '/d/h'],
  files: ['/d/f', '/d/g'],
  acts: { create: 4, mkdir: 3, stat: 1, list: 1 },
  operationsMax: 4,
};

/** For long histories: everything happens, and there is somewhat more room. */
export const EVERYTHING: Scenario = {
  name: 'everything at once',
  setup: ['/a/', '/b/', '/a/x/', '/b/y/', '/a/f', '/b/y/g'],
  directories: ['/a', '/b', '/c', '/a/x', '/b/x', '/b/y', '/a/y', '/a/b', '/b/a'],
  files: ['/a/f', '/b/f', '/c/f', '/a/x/g', '/b/x/g', '/b/y/g', '/a/y/g', '/h'],
  acts: {
    create: 8,
    mkdir: 5,
    unlink: 4,
    rmdir: 4,
    renameFile: 4,
    renameDirectory: 5,
    removeTree: 1,
    stat: 4,
    list: 4,
  },
  operationsMax: 30,
};

export function drawOperation(pick: Pick, { directories, files, acts }: Scenario): Operation {
  const weights = Object.entries(acts) as [Act, number][];
  const act = pick(weights.flatMap(([each, weight]) => Array<Act>(weight).fill(each)));
  const any = [...directories, ...files];
  switch (act) {
    case 'renameFile':
      return { act: 'rename', path: pick(files), to: pick(files) };
    case 'renameDirectory':
      return { act: 'rename', path: pick(directories), to: pick(directories) };
    case 'create':
    case 'unlink':
      return { act, path: pick(files) };
    case 'mkdir':
    case 'rmdir':
    case 'list':
    case 'removeTree':
      return { act, path: pick(directories) };
    case 'stat':
      return { act, path: pick(any) };
  }
}
