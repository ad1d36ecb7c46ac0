import type { InodeId } from '#shared/model/ids.ts';
import { parsePath } from '#shared/model/names.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import type { Call } from './linearizability.ts';
import { type Answer, type Operation, perform } from './operations.ts';
import type { Scenario } from './scenarios.ts';

const SELF = { uid: 0, gid: 0, groups: [] };
const LIST_MAX = 1000;

export interface Log {
  readonly history: Call[];
  /** Orders what is asked and answered. */
  readonly tick: () => number;
}

/** An answer, or, when nobody will ever answer, the time from which nothing of what was sent is under way any more. */
export type Heard = Answer | { readonly over: Promise<unknown> };

/** Writes down what is asked, at once, and what is answered, when it is. After a failure nothing is under way either. */
export async function recorded(
  { name, operation }: Pick<Call, 'name' | 'operation'>,
  { history, tick }: Log,
  ask: () => Promise<Heard>,
): Promise<Answer> {
  const call = { name, operation, asked: tick(), answered: Infinity, answer: { is: 'unknown' } as Answer };
  history.push(call);
  const heard = await ask();
  if ('over' in heard) void heard.over.then(() => (call.answered = tick()));
  else Object.assign(call, { answer: heard, answered: tick() });
  return call.answer;
}

/** What is there before anybody begins. */
export async function setUp(namespace: Namespace, { setup }: Scenario): Promise<ReadonlyMap<InodeId, string>> {
  const made = new Map<InodeId, string>();
  for (const path of setup) {
    const act = path.endsWith('/') ? 'mkdir' : 'create';
    const answer = await perform(namespace, { act, path: path.replace(/\/$/, '') }, { name: 'setup' });
    if (answer.is === 'done' && answer.id !== undefined) made.set(answer.id, path);
  }
  return made;
}

/** What is left in the end is looked at too: it has to come of what was answered. */
export async function lookAround(namespace: Namespace, log: Log): Promise<void> {
  const paths = ['/'];
  for (const path of paths) {
    const [name, operation]: [string, Operation] = [`look-${log.history.length}`, { act: 'list', path }];
    await recorded({ name, operation }, log, () => perform(namespace, operation, { name }));
    const { entries } = await namespace.list(SELF, parsePath(path), { limit: LIST_MAX });
    const below = entries.filter(({ inode }) => inode.kind === 'directory');
    paths.push(...below.map(({ name: each }) => `${path === '/' ? '' : path}/${each}`));
  }
}
