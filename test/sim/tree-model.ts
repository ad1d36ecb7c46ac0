import type { FaultKind } from '#shared/model/faults.ts';

/** An inode: named by what was answered when it was made, or, where no answer came, by the operation with a `?` before it. */
export type Node = string;

interface Directory {
  readonly entries: ReadonlyMap<string, Node>;
  /** `loose`: in a removed tree, which is taken away behind, or not yet. `dead`: removed when it was empty. */
  readonly state: 'there' | 'loose' | 'dead';
}

/** The whole file system at a moment. What is no directory is a file. */
export interface Tree {
  readonly directories: ReadonlyMap<Node, Directory>;
  /** Equal for equal trees. */
  readonly key: string;
}

/** The nodes that the lookups of a path have gone through, the root first. */
export type Way = readonly Node[];

export type Act = 'create' | 'mkdir' | 'unlink' | 'rmdir' | 'removeTree' | 'stat' | 'list' | 'rename';

export interface Expected {
  readonly act: Act;
  readonly names: readonly string[];
  /** Of a rename. */
  readonly toNames: readonly string[];
  /** Of what it makes. */
  readonly makes: Node;
  readonly answer:
    | { readonly is: 'done'; readonly node?: Node; readonly entries?: ReadonlyMap<string, Node> }
    | { readonly is: 'refused'; readonly kind: FaultKind }
    | { readonly is: 'unknown' };
}

/** The ways that its lookups can have gone by now, each lookup at a moment of its own. */
export interface Ways {
  readonly from: readonly Way[];
  readonly to: readonly Way[];
}

export const ROOT_NODE: Node = '/';
/** An inode that was seen and is of no acknowledged operation: one of those whose answer is unknown made it. */
export const SOMEBODYS: Node = '*';

const isSame = (expected: Node | undefined, node: Node): boolean =>
  expected === undefined || expected === node || (expected === SOMEBODYS && node.startsWith('?'));

export const emptyTree: Tree = treeOf(new Map([[ROOT_NODE, { entries: new Map(), state: 'there' }]]));

function treeOf(directories: ReadonlyMap<Node, Directory>): Tree {
  let key: string | undefined;
  const spell = () =>
    [...directories]
      .map(([node, { entries, state }]) => `${node} ${state} ${[...entries].map(String).toSorted().join(' ')}`)
      .toSorted()
      .join('\n');
  return {
    directories,
    get key() {
      return (key ??= spell());
    },
  };
}

/** One atomic lookup. */
export function childOf({ directories }: Tree, directory: Node, name: string): Node | undefined {
  return directories.get(directory)?.entries.get(name);
}

const endOf = (way: Way): Node => way.at(-1) ?? ROOT_NODE;

/** The same tree with an entry of a directory set, or taken away. */
function changed(tree: Tree, [directory, name]: readonly [Node, string], node?: Node): Tree {
  const before = tree.directories.get(directory);
  if (!before) throw new Error(`invariant: ${directory} is a directory`);
  const entries = new Map(before.entries);
  if (node === undefined) entries.delete(name);
  else entries.set(name, node);
  return treeOf(new Map(tree.directories).set(directory, { ...before, entries }));
}

function inState(tree: Tree, node: Node, state: Directory['state']): Tree {
  const before = tree.directories.get(node);
  if (!before) return tree;
  let after = treeOf(new Map(tree.directories).set(node, { ...before, state }));
  if (state === 'loose') for (const child of before.entries.values()) after = inState(after, child, state);
  return after;
}

function contains(tree: Tree, node: Node, wanted: Node): boolean {
  if (node === wanted) return true;
  return [...(tree.directories.get(node)?.entries.values() ?? [])].some((child) => contains(tree, child, wanted));
}

/** Whether the answer, which tells of no change, is what can have been seen by now. */
export function isExplained(expected: Expected, tree: Tree, ways: Ways): boolean {
  const { answer, act, names } = expected;
  if (answer.is === 'refused') return isReason(expected, answer.kind, tree, ways);
  if (answer.is === 'unknown') return false;
  const ends = ways.from.filter((way) => way.length === names.length + 1).map(endOf);
  if (act === 'stat') return ends.some((end) => isSame(answer.node, end));
  if (act === 'list') return ends.some((end) => isListing(tree, end, answer.entries ?? new Map()));
  return false;
}

/** A rename to where it is already changes nothing, and is done. */
export function isNoMove({ act, answer, names, toNames }: Expected, { from, to }: Ways): boolean {
  if (act !== 'rename' || answer.is !== 'done' || names.at(-1) !== toNames.at(-1)) return false;
  const sources = from.filter((way) => way.length === names.length + 1 && isSame(answer.node, endOf(way)));
  const parents = to.filter((way) => way.length === toNames.length + 1).map((way) => way.slice(-2).join('/'));
  return sources.some((way) => parents.includes(way.slice(-2).join('/')));
}

function isListing(tree: Tree, node: Node, listed: ReadonlyMap<string, Node>): boolean {
  const directory = tree.directories.get(node);
  if (!directory) return false;
  const areThere = [...listed].every(([name, each]) => isSame(each, directory.entries.get(name) ?? ''));
  return areThere && (listed.size === directory.entries.size || directory.state === 'loose');
}

/** What a refusal may refer to: nodes that were found at a path, or that a rename would have replaced, at some moment. */
interface Seen {
  readonly expected: Expected;
  readonly tree: Tree;
  readonly ways: Ways;
  readonly wholes: readonly Node[];
  readonly targets: readonly Node[];
}

function isReason(expected: Expected, kind: FaultKind, tree: Tree, ways: Ways): boolean {
  const wholes = ways.from.filter((way) => way.length === expected.names.length + 1).map(endOf);
  const targets = ways.to.filter((way) => way.length === expected.toNames.length + 1).map(endOf);
  return REASONS[kind]?.({ expected, tree, ways, wholes, targets }) ?? false;
}

/** Whether a refusal is one that the file system can have given by now. */
const REASONS: Partial<Record<FaultKind, (seen: Seen) => boolean>> = {
  notFound({ expected: { act, names, toNames }, tree, ways, wholes }) {
    // As Linux has it: a directory that was opened in time, and is gone, has no list.
    const isGone = act === 'list' && wholes.some((node) => tree.directories.get(node)?.state !== 'there');
    const isMissing = endsEarly(tree, names, ways.from, isMaking(act));
    return isGone || isMissing || (act === 'rename' && endsEarly(tree, toNames, ways.to, true));
  },
  notDirectory(seen) {
    const { expected, tree, ways, wholes } = seen;
    const { act, names, toNames } = expected;
    const isFileOn = (all: readonly Way[], { length }: readonly string[]) =>
      all.some((way) => way.length <= length && !isDirectory(tree, endOf(way)));
    const isFile = (act === 'rmdir' || act === 'list') && wholes.some((node) => !isDirectory(tree, node));
    const isOver = wouldReplace(seen, (moved, target) => isDirectory(tree, moved) && !isDirectory(tree, target));
    return isFile || isOver || isFileOn(ways.from, names) || isFileOn(ways.to, toNames);
  },
  exists: ({ expected, wholes }) => isMaking(expected.act) && wholes.length > 0,
  isDirectory(seen) {
    const { expected, tree, wholes } = seen;
    if (expected.act === 'unlink') return wholes.some((node) => isDirectory(tree, node));
    return wouldReplace(seen, (moved, target) => !isDirectory(tree, moved) && isDirectory(tree, target));
  },
  notEmpty(seen) {
    const isFull = (node: Node) => (seen.tree.directories.get(node)?.entries.size ?? 0) > 0;
    return seen.expected.act === 'rmdir' ? seen.wholes.some(isFull) : wouldReplace(seen, (_, target) => isFull(target));
  },
  invalid: ({ expected, ways, wholes }) =>
    expected.act === 'rename' && wholes.some((moved) => ways.to.some((way) => way.includes(moved))),
  // Others were always quicker: nothing is said about what is there.
  contended: () => true,
};

const isMaking = (act: Act): boolean => act === 'create' || act === 'mkdir';

const isDirectory = ({ directories }: Tree, node: Node): boolean => directories.has(node);

function wouldReplace({ expected, wholes, targets }: Seen, judge: (moved: Node, target: Node) => boolean): boolean {
  return expected.act === 'rename' && wholes.some((moved) => targets.some((target) => judge(moved, target)));
}

/** A name on the way is missing; of what is made the last one may be, but not the directory that it is made in. */
function endsEarly(tree: Tree, names: readonly string[], ways: readonly Way[], isLastFree: boolean): boolean {
  return ways.some((way) => {
    const directory = tree.directories.get(endOf(way));
    const name = names[way.length - 1];
    if (!directory || name === undefined) return false;
    if (directory.state !== 'there') return true;
    return !directory.entries.has(name) && !(isLastFree && way.length === names.length);
  });
}

/** The trees that can come of an operation which takes effect now. */
export function outcomesOf(expected: Expected, tree: Tree, ways: Ways): readonly Tree[] {
  const { names, act, toNames } = expected;
  const name = names.at(-1);
  if (name === undefined) return [];
  const parents = parentsIn(tree, ways.from, names);
  const outcomes =
    act === 'rename'
      ? parents.flatMap((from) =>
          parentsIn(tree, ways.to, toNames).flatMap((to) => movedTree(expected, tree, { from, to, name }) ?? []),
        )
      : parents.flatMap((parent) => outcomeIn(expected, tree, [parent, name]) ?? []);
  return outcomes.length < 2 ? outcomes : [...new Map(outcomes.map((each) => [each.key, each])).values()];
}

function parentsIn(tree: Tree, ways: readonly Way[], { length }: readonly string[]): readonly Node[] {
  const ends = ways.filter((way) => way.length === length).map(endOf);
  return [...new Set(ends)].filter((node) => (tree.directories.get(node)?.state ?? 'dead') !== 'dead');
}

function outcomeIn({ act, makes }: Expected, tree: Tree, key: readonly [Node, string]): Tree | undefined {
  const child = childOf(tree, ...key);
  const isLoose = tree.directories.get(key[0])?.state === 'loose';
  const directory = child === undefined ? undefined : tree.directories.get(child);
  switch (act) {
    case 'create':
    case 'mkdir': {
      if (child !== undefined && !isLoose) return undefined;
      const made = changed(tree, key, makes);
      if (act === 'create') return made;
      const state = isLoose ? 'loose' : 'there';
      return treeOf(new Map(made.directories).set(makes, { entries: new Map(), state }));
    }
    case 'unlink':
      return child === undefined || directory ? undefined : changed(tree, key);
    case 'rmdir':
      if (child === undefined || !directory) return undefined;
      return directory.entries.size > 0 && !isLoose ? undefined : inState(changed(tree, key), child, 'dead');
    case 'removeTree':
      return child === undefined ? undefined : inState(changed(tree, key), child, 'loose');
    case 'rename':
    case 'stat':
    case 'list':
      return undefined;
  }
}

interface Move {
  readonly from: Node;
  readonly to: Node;
  readonly name: string;
}

function movedTree({ answer, toNames }: Expected, tree: Tree, { from, to, name }: Move): Tree | undefined {
  const [moved, toName = ''] = [childOf(tree, from, name), toNames.at(-1)];
  if (moved === undefined || (answer.is === 'done' && !isSame(answer.node, moved))) return undefined;
  const replaced = childOf(tree, to, toName);
  const [movedAs, replacedAs] = [moved, replaced ?? ''].map((node) => tree.directories.get(node));
  if (replaced === moved || (movedAs && contains(tree, moved, to))) return undefined;
  if (replaced !== undefined && (movedAs === undefined) !== (replacedAs === undefined)) return undefined;
  if (replacedAs && replacedAs.entries.size > 0) return undefined;
  const after = changed(changed(tree, [from, name]), [to, toName], moved);
  return replaced === undefined ? after : inState(after, replaced, 'dead');
}
