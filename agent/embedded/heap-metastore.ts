import { FIRST_FREE_ID, type InodeId, sequentialId, TOKENS } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { Clock } from '#shared/ports/clock.ts';
import type { Metastore, NewId, RowKey } from '#shared/ports/metastore.ts';
import { applyCommit, isAlive, type RowTable } from './commit.ts';
import type { LocalFeed } from './change-feed.ts';

export interface EmbeddedMetastore extends Metastore {
  readonly newId: NewId;
  /** Another one than last time: the rows are others too, and what was cached for their ids means nothing. */
  readonly identity: string;
  /** Where other threads can read the rows (`openRows`); undefined where they cannot. */
  readonly rowsFile: string | undefined;
}

interface Directory {
  readonly rows: Map<Name, Row>;
  /** The names in byte order; undefined once a name came or went, sorted again by the next listing. */
  order: Name[] | undefined;
}

/** All rows in memory, gone with the process. */
export function heapMetastore({ feed, clock }: { readonly feed: LocalFeed; readonly clock: Clock }): EmbeddedMetastore {
  const directories = new Map<InodeId, Directory>();
  let lastId = FIRST_FREE_ID - 1;

  const table: RowTable = {
    get: ({ directory, name }) => directories.get(directory)?.rows.get(name),
    put({ directory, name }, row) {
      const found = directories.get(directory) ?? { rows: new Map<Name, Row>(), order: undefined };
      directories.set(directory, found);
      if (!found.rows.has(name)) found.order = undefined;
      found.rows.set(name, row);
    },
    remove({ directory, name }) {
      const found = directories.get(directory);
      if (!found?.rows.delete(name)) return;
      found.order = undefined;
      if (found.rows.size === 0) directories.delete(directory);
    },
  };

  return {
    identity: crypto.randomUUID(),
    rowsFile: undefined,
    newId: () => sequentialId(++lastId),
    async get(keys) {
      return keys.map((key) => table.get(key));
    },
    async list(directory, { after, limit }) {
      const found = directories.get(directory);
      if (!found) return [];
      found.order ??= [...found.rows.keys()].toSorted((a, b) => (a < b ? -1 : 1));
      const start = after === undefined ? 0 : firstPast(found.order, after);
      return found.order.slice(start, start + limit).flatMap((name) => {
        const row = found.rows.get(name);
        return row ? [{ name, row }] : [];
      });
    },
    async commit(changes, options = {}) {
      dropOldTokens(table, directories.get(TOKENS)?.rows, clock());
      const { result, changes: done } = applyCommit(table, changes, options, clock());
      if (done.length > 0) feed.publish({ source: options.source, changes: done });
      return result;
    },
    async flushed() {},
    async close() {},
  };
}

/** The position of the first name after `name`. */
function firstPast(order: readonly Name[], name: Name): number {
  let low = 0;
  for (let high = order.length; low < high;) {
    const middle = (low + high) >>> 1;
    if ((order[middle] ?? '') <= name) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Map order is the order of writing, and all tokens live equally long: the dead ones are in front. */
function dropOldTokens(table: RowTable, tokens: Map<Name, Row> | undefined, now: number): void {
  for (const [name, row] of tokens ?? []) {
    if (isAlive(row, now)) return;
    const key: RowKey = { directory: TOKENS, name };
    table.remove(key);
  }
}
