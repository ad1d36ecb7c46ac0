import { Hono } from 'hono';
import * as z from 'zod';
import { ROOT_PATH, toText } from '#shared/model/names.ts';
import type { Quota } from '#shared/namespace/set-quota.ts';
import type { ApiDeps } from './deps.ts';
import { type ApiEnv, ownerOnly } from './guard.ts';
import { PathText, body, query } from './validated.ts';

const Limit = z.int().min(0);
const SetBody = z.object({ path: PathText, bytes: Limit.optional(), entries: Limit.optional() });
const ListQuery = z.object({ path: PathText.default(ROOT_PATH) });
const RemoveQuery = z.object({ path: PathText });

/** What may lie below a directory, and what does. A limit that is absent is none. */
export interface QuotaInfo {
  readonly path: string;
  readonly bytes?: number | undefined;
  readonly entries?: number | undefined;
  readonly usedBytes: number;
  readonly usedEntries: number;
}

/** Limits of what lies below directories, in whole trees. */
export function quotasApi({ namespace }: ApiDeps) {
  return (
    new Hono<ApiEnv>()
      /** The quotas of a directory (/) and of all below it. Errors: notFound, denied. */
      .get('/', query(ListQuery), async (c) => {
        const quotas = await namespace.quotas(c.var.actor, c.req.valid('query').path);
        return c.json({ quotas: quotas.map(quotaInfo) });
      })
      /** Sets a quota in place of the one there was; answers when the tree has been counted. Errors: notFound, notDirectory, invalid (no limit at all), notPermitted. */
      .put('/', ownerOnly, body(SetBody), async (c) => {
        const { path, bytes, entries } = c.req.valid('json');
        const limits = { ...(bytes !== undefined && { bytes }), ...(entries !== undefined && { entries }) };
        return c.json(quotaInfo(await namespace.setQuota(c.var.actor, path, limits)));
      })
      /** Errors: notFound, invalid (the directory has none of its own), notPermitted. */
      .delete('/', ownerOnly, query(RemoveQuery), async (c) => {
        await namespace.removeQuota(c.var.actor, c.req.valid('query').path);
        return c.body(null, 204);
      })
  );
}

function quotaInfo({ path, limits, used }: Quota): QuotaInfo {
  return { path: toText(path), ...limits, usedBytes: used.bytes, usedEntries: used.entries };
}
