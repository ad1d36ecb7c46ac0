import { Hono } from 'hono';
import * as z from 'zod';
import { LeatError } from '#shared/model/faults.ts';
import { ROW_READS } from '#shared/namespace/row-reads.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import type { ApiDeps } from './deps.ts';
import { type ApiEnv, ownerOnly } from './guard.ts';
import { checked, jsonOf } from './validated.ts';

/** Rows as they are kept, for agents that have joined and are not let at the table: the secrets of mounts are among them. */
export function rowsApi({ rows }: ApiDeps) {
  const { get, list } = ROW_READS;
  return (
    new Hono<ApiEnv>()
      /** What is kept at some keys. Body and answer are what `shared/namespace/row-reads.ts` says. Errors: unsupported (an agent of its own rows). */
      .post('/get', ownerOnly, async (c) => {
        const { keys } = checked(get.input, await jsonOf(c));
        const found = await demanded(rows).get(keys);
        return c.json(z.encode(get.answer, { rows: found.map((row) => row ?? null) }));
      })
      /** A page of a directory. */
      .post('/list', ownerOnly, async (c) => {
        const { directory, ...page } = checked(list.input, await jsonOf(c));
        return c.json(z.encode(list.answer, { rows: await demanded(rows).list(directory, page) }));
      })
  );
}

function demanded(rows: ApiDeps['rows']): Pick<Metastore, 'get' | 'list'> {
  if (rows) return rows;
  throw new LeatError('unsupported', 'this agent has its rows to itself; join the URL that `npm run deploy` printed');
}
