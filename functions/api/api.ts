import { Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { LeatError, toLeatError } from '#shared/model/faults.ts';
import { agentApi } from './agent.ts';
import { agentsApi } from './agents.ts';
import { contentApi } from './content.ts';
import type { ApiDeps } from './deps.ts';
import { eventsApi } from './events.ts';
import { filesApi } from './files.ts';
import { type ApiEnv, guard } from './guard.ts';
import { mountsApi } from './mounts.ts';
import { namespaceApi } from './namespace.ts';
import { quotasApi } from './quotas.ts';
import { rowsApi } from './rows.ts';
import { xattrsApi } from './xattrs.ts';

/** The whole API. Every failure is `{kind, message}`; kinds and their HTTP status are in the fault table of `shared/model`. */
export function createApi(deps: ApiDeps) {
  return new Hono<ApiEnv>()
    .use(deps.around ?? ((_, next) => next()))
    .use(guard(deps))
    .route('/v1/files', filesApi(deps))
    .route('/v1/xattrs', xattrsApi(deps))
    .route('/v1/content', contentApi(deps))
    .route('/v1/events', eventsApi(deps))
    .route('/v1/mounts', mountsApi(deps))
    .route('/v1/quotas', quotasApi(deps))
    .route('/v1/agent', agentApi(deps))
    .route('/v1/agents', agentsApi(deps))
    .route('/v1/namespace', namespaceApi(deps))
    .route('/v1/rows', rowsApi(deps))
    .notFound((c) => {
      const message = `${c.req.method} ${c.req.path} is not part of this API; see functions/api for what is`;
      return c.json({ kind: 'notFound', message }, 404);
    })
    .onError((error, c) => {
      if (!(error instanceof LeatError)) deps.log(`${c.req.method} ${c.req.path}: ${error.stack ?? error.message}`);
      const { kind, message, fault } = toLeatError(error);
      // Hono's list of codes lacks 499, by which servers say that the client went away.
      return c.json({ kind, message }, fault.status as ContentfulStatusCode);
    });
}

/** All that a client needs: `hc<Api>(url)` is typed by this and pulls in no server code. */
export type Api = ReturnType<typeof createApi>;
