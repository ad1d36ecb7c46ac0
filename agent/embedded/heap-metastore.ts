import { FIRST_FREE_ID, type InodeId, sequentialId, TOKENS } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { Clock } from '#shared/ports/clock.ts';
import type { Metastore, NewId, RowKey } from '#shared/ports/metastore.ts';
import { applyCommit, isAlive, type RowTable } from './commit.ts';
import type { LocalFeed } from './change-feed.ts';
import { SortedNames } from './sorted-names.ts';

/** Within one turn of the event loop; who commits more waits for the next, so that timers and sockets have theirs. */
const CHANGES_PER_TURN = 1000;

export interface EmbeddedMetastore extends Metastore {
  readonly newId: NewId;
  /** Another one than last time: the rows are others too, and what was cached for their ids means nothing. */
  readonly identity: string;
  /** What was written to the files of this namespace lies under it. Other than `identity` it stays when rows are lost. */
  readonly namespaceId: string;
  /** Where other threads can read the rows (`openRows`); undefined where they cannot. */
  readonly rowsFile: string | undefined;
}

interface Directory {
  readonly rows: Map<Name, Row>;
  readonly names: SortedNames;
}

/** All rows in memory, gone with the process. */
export function heapMetastore({ feed, clock }: { readonly feed: LocalFeed; readonly clock: Clock }): EmbeddedMetastore {
  const directories = new Map<InodeId, Directory>();
  let lastId = FIRST_FREE_ID - 1;
  const turn = turns();

  const table: RowTable = {
    get: ({ directory, name }) => directories.get(directory)?.rows.get(name),
    put({ directory, name }, row) {
      const found = directories.get(directory) ?? { rows: new Map<Name, Row>(), names: new SortedNames() };
      directories.set(directory, found);
      if (!found.rows.has(name)) found.names.add(name);
      found.rows.set(name, row);
    },
    remove({ directory, name }) {
      const found = directories.get(directory);
      if (!found?.rows.delete(name)) return;
      found.names.delete(name);
      if (found.rows.size === 0) directories.delete(directory);
    },
  };

  const identity = crypto.randomUUID();
  return {
    identity,
    namespaceId: identity,
    rowsFile: undefined,
    newId: () => sequentialId(++lastId),
    async get(keys) {
      return keys.map((key) => table.get(key));
    },
    async list(directory, { after, limit }) {
      const found = directories.get(directory);
      if (!found) return [];
      return found.names.page(after, limit).flatMap((name) => {
        const row = found.rows.get(name);
        return row ? [{ name, row }] : [];
      });
    },
    async commit(changes, options = {}) {
      // Of two commits the one that was asked for first is made first, waiting or not.
      const room = turn(changes.length);
      if (room) await room;
      dropOldTokens(table, directories.get(TOKENS)?.rows, clock());
      const { result, changes: done } = applyCommit(table, changes, options, clock());
      if (done.length > 0) feed.publish({ source: options.source, changes: done });
      return result;
    },
    async flushed() {},
    async close() {},
  };
}

/** Undefined while there is room in this turn of the event loop; else to be awaited. */
function turns(): (changes: number) => Promise<void> | undefined {
  let spent = 0;
  let last = Promise.resolve();
  let waiting = 0;
  const next = () => new Promise<void>((resolve) => setImmediate(resolve));
  const begin = () => {
    if (spent === 0) void next().then(() => (spent = 0));
  };
  const inOrder = async (before: Promise<void>, changes: number) => {
    await before;
    while (spent >= CHANGES_PER_TURN) await next();
    begin();
    spent += changes;
    waiting--;
  };
  return (changes) => {
    if (waiting === 0 && spent < CHANGES_PER_TURN) {
      begin();
      spent += changes;
      return undefined;
    }
    waiting++;
    return (last = inOrder(last, changes));
  };
}

/** Map order is the order of writing, and all tokens live equally long: the dead ones are in front. */
function dropOldTokens(table: RowTable, tokens: Map<Name, Row> | undefined, now: number): void {
  for (const [name, row] of tokens ?? []) {
    if (isAlive(row, now)) return;
    const key: RowKey = { directory: TOKENS, name };
    table.remove(key);
  }
}
