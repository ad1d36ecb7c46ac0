import { Hono } from 'hono';
import * as z from 'zod';
import { fromText } from '#shared/model/names.ts';
import type { Actor, AttributePatch, Namespace } from '#shared/namespace/namespace.ts';
import type { ApiDeps } from './deps.ts';
import { changedInfo, fileInfo, listingInfo } from './file-info.ts';
import { type ApiEnv, ownerOnly } from './guard.ts';
import { Count, Flag, Mode, NameText, PathText, body, query } from './validated.ts';

const PAGE_ENTRIES_MAX = 1000;
const DIRECTORY_MODE = 0o755;
const FILE_MODE = 0o644;
const TARGET_BYTES_MAX = 4095;
const UID_MAX = 0xffff_fffe;

const At = z.object({ path: PathText });
const StatQuery = At.extend({ follow: Flag.optional() });
const ListQuery = At.extend({ after: NameText.optional(), limit: Count.optional() });
const RemoveQuery = At.extend({ kind: z.enum(['file', 'directory', 'tree']) });
const CreateBody = z.discriminatedUnion('kind', [
  At.extend({ kind: z.literal('directory'), mode: Mode.default(DIRECTORY_MODE), parents: z.boolean().optional() }),
  At.extend({ kind: z.literal('file'), mode: Mode.default(FILE_MODE) }),
  At.extend({
    kind: z.literal('symlink'),
    target: z
      .string()
      .min(1)
      .transform(fromText)
      .refine((bytes) => bytes.length <= TARGET_BYTES_MAX && !bytes.includes('\0')),
  }),
]);
const RenameBody = z.object({ from: PathText, to: PathText, noReplace: z.boolean().optional() });
const Uid = z.int().min(0).max(UID_MAX);
const When = z.union([
  z.literal('now'),
  z
    .string()
    .regex(/^-?\d{1,19}$/, 'must be nanoseconds since the epoch, or now')
    .transform(BigInt),
]);
const PatchBody = At.extend({
  mode: Mode.optional(),
  uid: Uid.optional(),
  gid: Uid.optional(),
  atimeNs: When.optional(),
  mtimeNs: When.optional(),
});
const SyncBody = At.extend({ recursive: z.boolean().optional() });

/** Files, directories and symlinks, by path. Every answer that shows one is a `FileInfo`. */
export function filesApi({ namespace, content }: ApiDeps) {
  return (
    new Hono<ApiEnv>()
      /** One file. `follow=true` goes through a symlink at the end. Errors: notFound, notDirectory, denied, tooManyLinks, unavailable. */
      .get('/', query(StatQuery), async (c) => {
        const { path, follow } = c.req.valid('query');
        const found = await namespace.stat(c.var.actor, path, { follow: follow ?? false });
        return c.json(fileInfo(content, found));
      })
      /** A page of a directory, ascending by the bytes of the name: at most `limit` (1000) entries after the name `after`; `next`, when there is more, is the next `after`. */
      .get('/list', query(ListQuery), async (c) => {
        const { path, after, limit } = c.req.valid('query');
        const page = { limit: pageLimit(limit), ...(after !== undefined && { after }) };
        return c.json(listingInfo(content, path, await namespace.list(c.var.actor, path, page)));
      })
      /** Makes an empty file, a directory (`parents` as mkdir -p) or a symlink. Errors: exists, notFound (of the parent), denied, readOnly. */
      .post('/', body(CreateBody), async (c) => {
        const made = c.req.valid('json');
        return c.json(changedInfo(made.path, await create(namespace, c.var.actor, made)), 201);
      })
      /** As rename(2). Errors: notFound, exists (with `noReplace`), notEmpty, isDirectory, notDirectory, invalid (into itself), crossMount, busy. */
      .post('/rename', body(RenameBody), async (c) => {
        const { from, to, noReplace } = c.req.valid('json');
        return c.json(
          changedInfo(to, await namespace.rename(c.var.actor, from, to, { noReplace: noReplace ?? false })),
        );
      })
      /** Changes mode, owner and times; what is absent stays. Errors: notFound, notPermitted, readOnly. */
      .patch('/', body(PatchBody), async (c) => {
        const { path, ...patch } = c.req.valid('json');
        return c.json(changedInfo(path, await namespace.setAttributes(c.var.actor, path, attributePatch(patch))));
      })
      /** `kind` file: unlink; directory: an empty one; tree: with all below, at once whatever its size. Errors: notFound, notEmpty, isDirectory, notDirectory, busy. */
      .delete('/', query(RemoveQuery), async (c) => {
        const { path, kind } = c.req.valid('query');
        if (kind === 'tree') await namespace.removeTree(c.var.actor, path);
        else await namespace.remove(c.var.actor, path, kind);
        return c.body(null, 204);
      })
      /** Asks the store now what is below a directory, and answers how many rows `changed`. */
      .post('/sync', ownerOnly, body(SyncBody), async (c) => {
        const { path, recursive } = c.req.valid('json');
        return c.json({ changed: await namespace.sync(c.var.actor, path, { recursive: recursive ?? false }) });
      })
  );
}

function pageLimit(limit: number | undefined): number {
  return Math.max(1, Math.min(limit ?? PAGE_ENTRIES_MAX, PAGE_ENTRIES_MAX));
}

async function create(namespace: Namespace, actor: Actor, made: z.output<typeof CreateBody>) {
  switch (made.kind) {
    case 'directory':
      return namespace.mkdir(actor, made.path, { mode: made.mode, parents: made.parents ?? false });
    case 'file':
      return namespace.create(actor, made.path, { mode: made.mode });
    case 'symlink':
      return namespace.symlink(actor, made.path, made.target);
  }
}

function attributePatch({
  mode,
  uid,
  gid,
  atimeNs,
  mtimeNs,
}: Omit<z.output<typeof PatchBody>, 'path'>): AttributePatch {
  return {
    ...(mode !== undefined && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(atimeNs !== undefined && { atime: atimeNs }),
    ...(mtimeNs !== undefined && { mtime: mtimeNs }),
  };
}
