import { invariant } from '#shared/model/faults.ts';
import { TOKENS } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { RowChange } from '#shared/ports/change-feed.ts';
import {
  type Change,
  CHANGES_MAX,
  type CommitOptions,
  type CommitResult,
  type Condition,
  type RowKey,
  TOKEN_LIFE_MS,
} from '#shared/ports/metastore.ts';

/** What an engine must offer inside one of its transactions. */
export interface RowTable {
  get(key: RowKey): Row | undefined;
  put(key: RowKey, row: Row): void;
  remove(key: RowKey): void;
}

export interface Applied {
  readonly result: CommitResult;
  readonly changes: readonly RowChange[];
}

/** The one meaning of `commit`, for every engine that has transactions: all conditions first, then all changes. */
export function applyCommit(
  table: RowTable,
  changes: readonly Change[],
  { token }: CommitOptions,
  now: number,
): Applied {
  const count = changes.length + (token === undefined ? 0 : 1);
  invariant(count <= CHANGES_MAX, `a commit of ${count} changes, over ${CHANGES_MAX}`);
  const tokenKey = token === undefined ? undefined : { directory: TOKENS, name: token as Name };
  if (tokenKey && isAlive(table.get(tokenKey), now)) return { result: { committed: true }, changes: [] };

  const before = changes.map(({ key }) => table.get(key));
  const failed = changes.flatMap(({ when }, i) => (holds(when, before[i]) ? [] : [i]));
  if (failed.length > 0) return { result: { committed: false, failed }, changes: [] };

  const done: RowChange[] = [];
  for (const [i, change] of changes.entries()) {
    if (change.act === 'check') continue;
    if (change.act === 'put') table.put(change.key, change.row);
    else table.remove(change.key);
    done.push({ key: change.key, before: before[i], after: change.act === 'put' ? change.row : undefined });
  }
  if (tokenKey) table.put(tokenKey, { kind: 'record', version: 1, body: String(now + TOKEN_LIFE_MS) });
  return { result: { committed: true }, changes: done };
}

/** A token's record holds when it ends, in milliseconds since the epoch. */
export function isAlive(row: Row | undefined, now: number): boolean {
  return row?.kind === 'record' && Number(row.body) > now;
}

function holds(when: Condition, row: Row | undefined): boolean {
  if (when === 'any') return true;
  if (when === 'absent') return row === undefined;
  if (row?.version !== when.version) return false;
  return when.id === undefined || (row.kind !== 'record' && row.id === when.id);
}
