import { Hono } from 'hono';
import * as z from 'zod';
import { fromText } from '#shared/model/names.ts';
import type { ApiDeps } from './deps.ts';
import { changedInfo } from './file-info.ts';
import type { ApiEnv } from './guard.ts';
import { PathText, body, query } from './validated.ts';

const XattrName = z.string().min(1).transform(fromText);
const SetBody = z.object({
  path: PathText,
  name: XattrName,
  value: z.string().transform(fromText),
  mode: z.enum(['set', 'create', 'replace']).default('set'),
});
const RemoveQuery = z.object({ path: PathText, name: XattrName });

/** Extended attributes. They are read with the file itself, as its `xattrs`. */
export function xattrsApi({ namespace }: ApiDeps) {
  return (
    new Hono<ApiEnv>()
      /** `mode` create: exists if it is there; replace: noAttribute if it is not. Errors besides: notFound, denied, notPermitted, tooLarge. */
      .put('/', body(SetBody), async (c) => {
        const { path, name, value, mode } = c.req.valid('json');
        return c.json(changedInfo(path, await namespace.setXattr(c.var.actor, path, name, value, mode)));
      })
      /** Errors: notFound, noAttribute, denied. */
      .delete('/', query(RemoveQuery), async (c) => {
        const { path, name } = c.req.valid('query');
        return c.json(changedInfo(path, await namespace.removeXattr(c.var.actor, path, name)));
      })
  );
}
