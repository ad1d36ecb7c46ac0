import { LeatError } from '#shared/model/faults.ts';
import type { Row } from '#shared/model/inode.ts';
import { toText } from '#shared/model/names.ts';
import type { Change, CommitResult, ListedRow, Metastore, RowKey } from '#shared/ports/metastore.ts';
import type { Scheduler } from './scheduler.ts';

/** Of so many calls. */
export interface Weather {
  readonly lostRequests: number;
  readonly lostAnswers: number;
  /** Of commits: they arrive again, at any time later. */
  readonly duplicates: number;
}

export const CALM: Weather = { lostRequests: 0, lostAnswers: 0, duplicates: 0 };

interface End {
  readonly scheduler: Scheduler;
  readonly strand: number;
  readonly weather: () => Weather;
}

/**
 * A metastore at the other end of a simulated network: that a request arrives is one event, that its answer does another.
 * Every commit has a token, as drivers give it one that repeat what was not answered.
 */
export function remoteMetastore(inner: Metastore, { scheduler, strand, weather }: End): Metastore {
  let tokens = 0;
  const lost = () => new LeatError('unavailable', 'lost on the way');

  function call<Result>(
    what: string,
    act: () => Promise<Result>,
    again?: (result: Result) => boolean,
  ): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const { lostRequests, lostAnswers, duplicates } = weather();
    const dice = scheduler.random();
    if (dice < lostRequests) {
      scheduler.schedule({ strand, what: `${what} is lost`, happen: () => reject(lost()) });
      return promise;
    }
    const isLost = dice < lostRequests + lostAnswers;
    const answer = (result: Result) => {
      const happen = () => (isLost ? reject(lost()) : resolve(result));
      scheduler.schedule({ strand, what: isLost ? 'its answer is lost' : `has ${answerText(result)}`, happen });
      if (dice > 1 - duplicates && again?.(result)) {
        scheduler.schedule({ strand, what: `${what} again`, isOnWire: true, happen: async () => void (await act()) });
      }
    };
    scheduler.schedule({ strand, what, isOnWire: true, happen: () => act().then(answer, reject) });
    return promise;
  }

  return {
    get: (keys) =>
      scattered(keys, scheduler.random, (some) => call(`get ${some.map(keyText).join(' ')}`, () => inner.get(some))),
    list: (directory, options) => call(`list ${idText(directory)}`, () => inner.list(directory, options)),
    commit(changes, options) {
      const token = `sim-${strand}-${++tokens}`;
      const what = `commit ${changes.map(changeText).join(', ')}`;
      return call(what, () => inner.commit(changes, { token, ...options }), isMade);
    },
    flushed: () => inner.flushed(),
    close: async () => {},
  };
}

/** Of a batch, as DynamoDB reads it, each row is of its own moment: here they are of two. */
async function scattered(
  keys: readonly RowKey[],
  random: () => number,
  get: (keys: readonly RowKey[]) => Promise<(Row | undefined)[]>,
): Promise<(Row | undefined)[]> {
  const isLater = keys.map(() => random() < 0.5);
  const part = (when: boolean) => keys.filter((_, i) => isLater[i] === when);
  if (new Set(isLater).size < 2) return get(keys);
  const [now, later] = await Promise.all([false, true].map((when) => get(part(when))));
  return isLater.map((when) => (when ? later : now)?.shift());
}

const isMade = ({ committed }: CommitResult): boolean => committed;

function answerText(answer: unknown): string {
  if (!Array.isArray(answer)) return (answer as CommitResult).committed ? 'committed' : 'failed';
  return `[${answer.map((row: Row | ListedRow | undefined) => (row ? rowText('row' in row ? row.row : row) : 'none')).join(' ')}]`;
}

function rowText(row: Row): string {
  if (row.kind === 'record') return `record v${row.version}`;
  return `${row.kind} ${idText(row.id)} v${row.version}${row.closing ? ' closing' : ''}`;
}

/** Short, and the same for one id throughout a trace. */
export function idText(id: string): string {
  let hex = '';
  for (const char of id.slice(-3)) hex += char.charCodeAt(0).toString(16).padStart(2, '0');
  return hex;
}

const keyText = ({ directory, name }: RowKey): string =>
  `${idText(directory)}/${/^[\w.-]*$/.test(name) ? name : idText(name)}`;

function changeText(change: Change): string {
  const { act, key, when } = change;
  const condition = typeof when === 'string' ? when : `v${when.version}`;
  const row = change.act === 'put' && change.row.kind !== 'record' ? ` =${idText(change.row.id)}` : '';
  const mark = change.act === 'put' && change.row.kind !== 'record' && change.row.closing ? ' closing' : '';
  return toText(`${act} ${keyText(key)} if ${condition}${row}${mark}`);
}
