import type { InodeId } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { ListedRow, Metastore, RowKey } from '#shared/ports/metastore.ts';
import { type HotChange, isKept, KnownRows, type KnownRowsOptions } from './known-rows.ts';
import { Reading } from './readings.ts';

/** How often a page is read again after the rows that were missing in it have been asked for. */
const PAGE_ATTEMPTS_MAX = 2;
/** In one page; where more are not known the whole page is asked for. */
const UNKNOWN_MAX = 100;

/** `identity` is that of the namespace behind `remote`; a file of another one is not used. `leaseMs`: how old answers may be. */
export interface HotTierOptions extends KnownRowsOptions {
  readonly remote: Metastore;
}

/** Reads may be as old as the lease, and never older than what `apply` and `forget` have told, nor than what was committed here. */
export interface HotTier extends Metastore {
  /** The same rows as they are now, for use cases that change them: those compare what they read. */
  readonly now: Metastore;
  readonly identity: string;
  /** For `openHotRows`, in another thread. */
  readonly rowsFile: string;
  /** From the feed, in its order. */
  apply(changes: readonly HotChange[]): void;
  /** Somebody was asked to change these rows, and has answered. */
  forget(keys: readonly RowKey[]): void;
  /** The feed has been lost: nothing that is known counts any more. */
  clear(): void;
  /** After the start: the feed has told all that happened since the file was left. Until then what it had is not used. */
  believe(): void;
  /** Called after each write of the file, before whatever it belongs to is answered. Answers how to end that. */
  onWritten(listener: () => void): () => void;
}

/** Rows that were read from a remote metastore, in a file beside. */
export function hotTier(options: HotTierOptions): HotTier {
  const { remote, identity, clock } = options;
  const known = new KnownRows(options);

  function ask(keys: readonly RowKey[]): Promise<(Row | undefined)[]> {
    const at = clock();
    const reading = new Reading(keys);
    return known.readings.during(
      reading,
      () => remote.get(keys),
      (rows) =>
        known.keepRows(
          reading,
          at,
          keys.map((key, i) => ({ key, row: rows[i] })),
        ),
    );
  }

  function askPage(directory: InodeId, { after, limit }: Page): Promise<ListedRow[]> {
    const at = clock();
    const reading = new Reading(directory);
    const since = after === undefined ? at : known.readings.goesOn(directory, after);
    return known.readings.during(
      reading,
      () => remote.list(directory, pageOf({ after, limit })),
      (rows) => known.keepPage(reading, { directory, after, at, since, rows, isLast: rows.length < limit }),
    );
  }

  async function get(keys: readonly RowKey[]): Promise<(Row | undefined)[]> {
    const found = keys.map((key) => (isKept(key.directory) ? known.look(key) : 'unknown'));
    const missing = keys.flatMap((key, i) => (found[i] === 'unknown' ? [{ key, i }] : []));
    const rows = found.map((row) => (row === 'absent' || row === 'unknown' ? undefined : row));
    if (missing.length === 0) return rows;
    const asked = await ask(missing.map(({ key }) => key));
    for (const [at, { i }] of missing.entries()) rows[i] = asked[at];
    return rows;
  }

  async function list(directory: InodeId, page: Page): Promise<ListedRow[]> {
    for (let i = 0; isKept(directory) && i < PAGE_ATTEMPTS_MAX; i++) {
      const found = known.page(directory, page.after, page.limit);
      if (!found || found.unknown.length > UNKNOWN_MAX) break;
      if (found.unknown.length === 0) return found.rows;
      await ask(found.unknown.map((name) => ({ directory, name })));
    }
    return askPage(directory, page);
  }

  async function commit(...[changes, how]: Parameters<Metastore['commit']>): ReturnType<Metastore['commit']> {
    try {
      return await remote.commit(changes, how);
    } finally {
      // Also when it failed: it may have been made, and only its answer be lost.
      known.forget(changes.flatMap(({ act, key }) => (act === 'check' ? [] : [key])));
    }
  }

  const through = { commit, flushed: () => remote.flushed(), close: () => known.close().then(() => remote.close()) };
  return {
    ...through,
    identity,
    rowsFile: known.rowsFile,
    get,
    list,
    now: { ...through, get: ask, list: askPage },
    apply: (changes) => known.apply(changes),
    forget: (keys) => known.forget(keys),
    clear: () => known.clear(),
    believe: () => known.believe(),
    onWritten: (listener) => known.onWritten(listener),
  };
}

interface Page {
  readonly after?: Name | undefined;
  readonly limit: number;
}

const pageOf = ({ after, limit }: Page) => ({ ...(after !== undefined && { after }), limit });
