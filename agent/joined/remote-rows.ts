import * as z from 'zod';
import { isFault } from '#shared/model/faults.ts';
import { PAGE_ROWS_MAX, ROW_READS } from '#shared/namespace/row-reads.ts';
import type { ListedRow, Metastore } from '#shared/ports/metastore.ts';
import type { Call } from './patient-call.ts';

export type ReadRows = Pick<Metastore, 'get' | 'list'>;

/** What rows that are only read answer to who would change them: it is for the API to do. */
export class ReadOnlyRows extends Error {
  constructor() {
    super('these rows are only read here');
  }
}

export function readOnly(rows: ReadRows): Metastore {
  return {
    get: (keys) => rows.get(keys),
    list: (directory, page) => rows.list(directory, page),
    commit: async () => {
      throw new ReadOnlyRows();
    },
    async flushed() {},
    async close() {},
  };
}

/** The rows behind an API. */
export function remoteRows(call: Call): ReadRows {
  const { get, list } = ROW_READS;
  return {
    async get(keys) {
      const answer = await call('/v1/rows/get', () => z.encode(get.input, { keys }));
      return z.decode(get.answer, answer as z.input<typeof get.answer>).rows.map((row) => row ?? undefined);
    },
    async list(directory, { after: start, limit }) {
      const rows: ListedRow[] = [];
      for (let after = start, isMore = true; isMore; after = rows.at(-1)?.name) {
        const page = { ...(after !== undefined && { after }), limit: Math.min(limit - rows.length, PAGE_ROWS_MAX) };
        const answer = await call('/v1/rows/list', () => z.encode(list.input, { directory, ...page }));
        const found = z.decode(list.answer, answer as z.input<typeof list.answer>).rows;
        rows.push(...found);
        isMore = found.length === page.limit && rows.length < limit;
      }
      return rows;
    },
  };
}

interface Allowed {
  readonly direct: ReadRows;
  readonly remote: ReadRows;
  readonly log: (message: string) => void;
}

/** Straight from the table; from when that is refused, by the API. A role does not change while an agent runs. */
export function rowsAllowed({ direct, remote, log }: Allowed): ReadRows {
  let rows = direct;
  const reading = async <Result>(act: (from: ReadRows) => Promise<Result>): Promise<Result> => {
    const from = rows;
    try {
      return await act(from);
    } catch (error) {
      if (from === remote || !isFault(error, 'denied')) throw error;
      if (rows !== remote)
        log(`the table may not be read by this agent, so the API is asked instead: ${error.message}`);
      rows = remote;
      return act(remote);
    }
  };
  return {
    get: (keys) => reading((from) => from.get(keys)),
    list: (directory, page) => reading((from) => from.list(directory, page)),
  };
}
