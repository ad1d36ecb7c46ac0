import { Hono } from 'hono';
import * as z from 'zod';
import { toText } from '#shared/model/names.ts';
import type { Mount } from '#shared/namespace/namespace.ts';
import type { ApiDeps } from './deps.ts';
import { type ApiEnv, ownerOnly } from './guard.ts';
import { PathText, body, query } from './validated.ts';

const OPTIONS_MAX = 100;
const TEXT_MAX = 8192;

const MountBody = z.object({
  path: PathText,
  uri: z.string().min(1).max(TEXT_MAX),
  readOnly: z.boolean().default(false),
  /** Milliseconds; -1: listed once and never again; 0: every access asks the store. */
  syncIntervalMs: z.int().min(-1).default(-1),
  options: z
    .record(z.string().max(TEXT_MAX), z.string().max(TEXT_MAX))
    .refine((options) => Object.keys(options).length <= OPTIONS_MAX)
    .default({}),
});
const UnmountQuery = z.object({ path: PathText });

/** A mount as the API shows it; values of options that are secret are masked. */
export type MountInfo = Omit<Mount, 'path' | 'id'> & { readonly id: string; readonly path: string };

/** Stores joined to directories. */
export function mountsApi({ namespace }: ApiDeps) {
  return (
    new Hono<ApiEnv>()
      /** All mounts, without secrets. */
      .get('/', async (c) => c.json({ mounts: (await namespace.mounts()).map(mountInfo) }))
      /** Joins a store to a directory, which is made if absent. Errors: invalid (URI or options), notEmpty, exists, denied (credentials), unavailable (no answer from the store). */
      .post('/', ownerOnly, body(MountBody), async (c) =>
        c.json(mountInfo(await namespace.mount(c.var.actor, c.req.valid('json'))), 201),
      )
      /** Detaches a store; what it holds stays. Errors: notFound, invalid (no mount point), busy (it is still owed changes). */
      .delete('/', ownerOnly, query(UnmountQuery), async (c) => {
        await namespace.unmount(c.var.actor, c.req.valid('query').path);
        return c.body(null, 204);
      })
  );
}

export function mountInfo(mount: Mount): MountInfo {
  return { ...mount, path: toText(mount.path) };
}
