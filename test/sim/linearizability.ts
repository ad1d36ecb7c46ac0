import type { InodeId } from '#shared/model/ids.ts';
import type { Answer, Operation } from './operations.ts';
import {
  childOf,
  emptyTree,
  type Expected,
  isExplained,
  isNoMove,
  type Node,
  outcomesOf,
  ROOT_NODE,
  SOMEBODYS,
  type Tree,
  type Way,
  type Ways,
} from './tree-model.ts';

/** One operation of one client, by when it was asked for and answered, in the order of all. */
export interface Call {
  readonly name: string;
  readonly operation: Operation;
  readonly asked: number;
  /** Where the answer is unknown: until when it may still take effect; Infinity, at any time later, or never. */
  readonly answered: number;
  readonly answer: Answer;
}

export type Verdict =
  | { readonly is: 'linearizable'; readonly states: number }
  /** No order of the effects explains this answer. */
  | { readonly is: 'violated'; readonly by: string; readonly tree: string; readonly states: number }
  | { readonly is: 'undecided'; readonly states: number };

const STATES_MAX = 300_000;
const CHANGES: readonly Operation['act'][] = ['create', 'mkdir', 'unlink', 'rmdir', 'removeTree', 'rename'];

/** An operation that has been asked for and not answered. */
interface Walker {
  readonly call: Call;
  readonly expected: Expected;
  readonly ways: Ways;
  /** It has taken effect, or seen what it answers. */
  readonly isSettled: boolean;
  readonly key: string;
}

interface Moment {
  readonly tree: Tree;
  readonly walkers: readonly Walker[];
}

type Event = { readonly at: number; readonly call: Call; readonly expected: Expected; readonly isAnswer: boolean };

/**
 * Whether a history of a file system can be explained by effects that happen one after another, each between its question and
 * its answer (Wing and Gong, with Lowe's rule that an effect need not be sooner than the first answer that depends on it). As
 * POSIX has it, the walk along a path is not one atomic act: each lookup happens at a moment of its own, then the act itself on
 * what the walk has led to. Lookups change nothing, so all that they can have seen is carried along instead of being tried.
 */
export function judge(history: readonly Call[], setup: ReadonlyMap<InodeId, string> = new Map()): Verdict {
  const nodes = new Map<InodeId, Node>([...setup].map(([id, path]) => [id, `#${path}`]));
  for (const { name, operation, answer } of history) {
    const isMade = answer.is === 'done' && (operation.act === 'create' || operation.act === 'mkdir');
    if (isMade && answer.id !== undefined) nodes.set(answer.id, `#${name}`);
  }
  const events = eventsOf(history, nodes);
  return new Search(events).verdict({ tree: treeOf(setup), walkers: [] });
}

class Search {
  readonly #events: readonly Event[];
  readonly #seen = new Set<string>();
  #furthest = -1;
  #tree = '';

  constructor(events: readonly Event[]) {
    this.#events = events;
  }

  verdict(start: Moment): Verdict {
    const isFound = this.#goesOn(0, start);
    const states = this.#seen.size;
    if (isFound) return { is: 'linearizable', states };
    if (states >= STATES_MAX) return { is: 'undecided', states };
    return { is: 'violated', by: this.#events[this.#furthest]?.call.name ?? '', tree: this.#tree, states };
  }

  /** True when all events from this one on can be explained. */
  #goesOn(from: number, start: Moment): boolean {
    let { tree, walkers } = start;
    for (let i = from; i < this.#events.length; i++) {
      const event = this.#events[i];
      if (!event) return true;
      const { call } = event;
      if (!event.isAnswer) {
        walkers = [...walkers, further(walkerOf(event), tree)];
        continue;
      }
      const walker = walkers.find((each) => each.call === call);
      const others = walkers.filter((each) => each !== walker);
      if (walker && !walker.isSettled) {
        const isNothing = walker.expected.answer.is === 'unknown' || isNoMove(walker.expected, walker.ways);
        if (isNothing && this.#goesOn(i + 1, { tree, walkers: others })) return true;
        return this.#hasChanged(i, { tree, walkers }, walker);
      }
      walkers = others;
    }
    return true;
  }

  /** An answer is not explained: something has to have taken effect before it. */
  #hasChanged(at: number, { tree, walkers }: Moment, unexplained: Walker): boolean {
    const key = [at, tree.key, ...walkers.map((each) => each.key)].join('|');
    if (this.#seen.size >= STATES_MAX || this.#seen.has(key)) return false;
    this.#seen.add(key);
    if (at > this.#furthest) {
      this.#furthest = at;
      this.#tree = tree.key;
    }
    const rank = (each: Walker) => (each === unexplained ? 0 : each.expected.answer.is === 'unknown' ? 2 : 1);
    const candidates = walkers.filter((each) => !each.isSettled && mayChange(each.expected));
    for (const each of candidates.toSorted((one, other) => rank(one) - rank(other))) {
      for (const after of outcomesOf(each.expected, tree, each.ways)) {
        const moved = walkers.map((other) => (other === each ? settled(other) : further(other, after)));
        if (this.#goesOn(at, { tree: after, walkers: moved })) return true;
      }
    }
    return false;
  }
}

const mayChange = ({ act, answer }: Expected): boolean => answer.is !== 'refused' && CHANGES.includes(act);

const settled = (walker: Walker): Walker => ({ ...walker, isSettled: true, key: `${walker.call.name}!` });

function walkerOf({ call, expected }: Event): Walker {
  const ways = { from: [[ROOT_NODE]], to: expected.act === 'rename' ? [[ROOT_NODE]] : [] };
  return { call, expected, ways, isSettled: false, key: '' };
}

/** With all lookups that can be made now, and what they explain. */
function further(walker: Walker, tree: Tree): Walker {
  if (walker.isSettled) return walker;
  const { expected } = walker;
  const ways = {
    from: waysOn(tree, expected.names, walker.ways.from),
    to: waysOn(tree, expected.toNames, walker.ways.to),
  };
  if (isExplained(expected, tree, ways)) return settled(walker);
  if (ways.from === walker.ways.from && ways.to === walker.ways.to && walker.key !== '') return walker;
  const spelled = [ways.from, ways.to].map((each) =>
    each
      .map((way) => way.slice(1).join('/'))
      .toSorted()
      .join(','),
  );
  return { ...walker, ways, key: `${walker.call.name}:${spelled.join(';')}` };
}

function waysOn(tree: Tree, names: readonly string[], ways: readonly Way[]): readonly Way[] {
  let all = ways;
  // Those that are found on the way are gone on with too.
  for (let i = 0; i < all.length; i++) {
    const way = all[i] ?? [];
    const name = names[way.length - 1];
    const child = name === undefined ? undefined : childOf(tree, way.at(-1) ?? ROOT_NODE, name);
    if (child === undefined) continue;
    const next = [...way, child];
    const isKnown = all.some((each) => each.length === next.length && each.every((node, at) => node === next[at]));
    if (!isKnown) all = [...all, next];
  }
  return all;
}

function eventsOf(history: readonly Call[], nodes: ReadonlyMap<InodeId, Node>): readonly Event[] {
  const events = history.flatMap((call): Event[] => {
    const expected = expectedOf(call, nodes);
    const asked = { at: call.asked, call, expected, isAnswer: false };
    return call.answered === Infinity ? [asked] : [asked, { ...asked, at: call.answered, isAnswer: true }];
  });
  return events.toSorted((one, other) => one.at - other.at);
}

function expectedOf({ name, operation, answer }: Call, nodes: ReadonlyMap<InodeId, Node>): Expected {
  const nodeOf = (id: InodeId) => nodes.get(id) ?? SOMEBODYS;
  const namesOf = (path: string) => path.split('/').filter((each) => each !== '');
  const entries = answer.is === 'done' ? answer.entries : undefined;
  return {
    act: operation.act,
    names: namesOf(operation.path),
    toNames: operation.act === 'rename' ? namesOf(operation.to) : [],
    makes: `${answer.is === 'unknown' ? '?' : '#'}${name}`,
    answer:
      answer.is === 'done'
        ? {
            is: 'done',
            ...(answer.id !== undefined && { node: nodeOf(answer.id) }),
            ...(entries && { entries: new Map(Object.entries(entries).map(([each, id]) => [each, nodeOf(id)])) }),
          }
        : answer,
  };
}

/** What was there before: directories end in a slash. */
function treeOf(setup: ReadonlyMap<InodeId, string>): Tree {
  let tree = emptyTree;
  for (const path of setup.values()) {
    const names = path.split('/').filter((each) => each !== '');
    const ways = waysOn(tree, names, [[ROOT_NODE]]);
    const act = path.endsWith('/') ? 'mkdir' : 'create';
    const made: Expected = { act, names, toNames: [], makes: `#${path}`, answer: { is: 'unknown' } };
    tree = outcomesOf(made, tree, { from: ways, to: [] })[0] ?? tree;
  }
  return tree;
}
