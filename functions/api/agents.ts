import { Hono } from 'hono';
import * as z from 'zod';
import { LeatError } from '#shared/model/faults.ts';
import { parseAgentId } from '#shared/namespace/agents.ts';
import type { ApiDeps } from './deps.ts';
import { type ApiEnv, ownerOnly } from './guard.ts';
import { body } from './validated.ts';

/** What an agent is told when it joins, and each time that it renews. */
export interface Registration {
  /** Where it is told of changes: the URL of a queue. */
  readonly inbox: string;
  /** The table of the rows, and where it is. */
  readonly table: string;
  readonly region: string;
  /** Of the rows: what was cached of others means nothing. */
  readonly identity: string;
  /** The number of the last record in the log of changes; all later ones come to the inbox. */
  readonly sequence: number;
  /** It is taken for gone when it has not renewed for so long. */
  readonly leaseMs: number;
  /** Agents may read the table themselves. */
  readonly directReads: boolean;
}

export interface Registry {
  join(id: string, how: { readonly isInboxGone: boolean }): Promise<Registration>;
  leave(id: string): Promise<void>;
}

const Agent = z.object({ id: z.string().transform(parseAgentId), isInboxGone: z.boolean().default(false) });

/** Agents that have joined this namespace. */
export function agentsApi({ agents }: ApiDeps) {
  return (
    new Hono<ApiEnv>()
      /** Registers an agent, or renews it: to be repeated three times within `leaseMs`, with `isInboxGone` when the queue that it was given is not there any more. Errors: invalid (id), unsupported (an agent of its own rows). */
      .post('/', ownerOnly, body(Agent), async (c) => {
        const { id, ...how } = c.req.valid('json');
        return c.json(await demanded(agents).join(id, how));
      })
      /** It has ended. Its inbox stays for ten minutes, in case that it only starts again. */
      .delete('/:id', ownerOnly, async (c) => {
        await demanded(agents).leave(parseAgentId(c.req.param('id')));
        return c.body(null, 204);
      })
  );
}

function demanded(agents: Registry | undefined): Registry {
  if (agents) return agents;
  throw new LeatError('unsupported', 'this agent has its rows to itself; join the URL that `npm run deploy` printed');
}
