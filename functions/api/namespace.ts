import { Hono } from 'hono';
import * as z from 'zod';
import { LeatError } from '#shared/model/faults.ts';
import type { Found, Namespace } from '#shared/namespace/namespace.ts';
import {
  type AnswerOf,
  type InputOf,
  isOperation,
  type Operation,
  OPERATIONS,
  Touched,
  TOUCHED_MAX,
} from '#shared/namespace/operations.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import type { ApiDeps } from './deps.ts';
import { type ApiEnv, ownerOnly } from './guard.ts';
import { checked, jsonOf } from './validated.ts';

/** Runs an act, and answers too which rows it has changed. */
export type Recorded = <Result>(
  act: () => Promise<Result>,
) => Promise<{ readonly result: Result; readonly touched?: readonly RowKey[] }>;

const unrecorded: Recorded = async (act) => ({ result: await act() });

/** The door of agents that have joined: every operation of `Namespace`, as whom they say. Only who is trusted as an agent may. */
export function namespaceApi({ namespace, recorded = unrecorded, clock = Date.now }: ApiDeps) {
  const performed = async <Op extends Operation>(op: Op, body: unknown): Promise<object> => {
    const { input, answer }: { input: z.ZodType; answer: z.ZodType } = OPERATIONS[op];
    const wanted = timed(checked(input, body) as InputOf<Op>, clock());
    const { result, touched = [] } = await recorded(() => ACTS[op](namespace, wanted));
    const isTold = touched.length > 0 && touched.length <= TOUCHED_MAX;
    return { ...(z.encode(answer, result) as object), ...(isTold && z.encode(Touched, { touched })) };
  };
  return (
    new Hono<ApiEnv>()
      /** `op` is a method of `Namespace`; the body and the answer are what `shared/namespace/operations.ts` says of it. */
      .post('/:op', ownerOnly, async (c) => {
        const op = c.req.param('op');
        if (!isOperation(op)) throw new LeatError('unsupported', unknown(op));
        return c.json(await performed(op, await jsonOf(c)));
      })
  );
}

/** A caller that asks again after a while must not meet what this request does later. */
function timed<Input extends object>(input: Input, now: number): Input {
  const { actor } = input as { readonly actor?: Asking };
  const { waitMs } = actor?.request ?? {};
  if (waitMs === undefined) return input;
  return { ...input, actor: { ...actor, request: { ...actor?.request, until: now + waitMs } } };
}

interface Asking {
  readonly request?: { readonly waitMs?: number };
}

const unknown = (op: string) =>
  `${op} is no operation of the namespace; there are ${Object.keys(OPERATIONS).join(', ')}`;

type Acts = { readonly [Op in Operation]: (namespace: Namespace, input: InputOf<Op>) => Promise<AnswerOf<Op>> };

const ACTS: Acts = {
  stat: (namespace, { actor, path, ...options }) => namespace.stat(actor, path, options),
  list: (namespace, { actor, path, ...page }) => namespace.list(actor, path, page),
  mkdir: async (namespace, { actor, path, ...options }) => ({ inode: await namespace.mkdir(actor, path, options) }),
  create: async (namespace, { actor, path, ...options }) => ({ inode: await namespace.create(actor, path, options) }),
  symlink: async (namespace, { actor, path, target }) => ({ inode: await namespace.symlink(actor, path, target) }),
  mknod: async (namespace, { actor, path, ...options }) => ({ inode: await namespace.mknod(actor, path, options) }),
  link: async (namespace, { actor, from, to }) => ({ inode: await namespace.link(actor, from, to) }),
  rename: async (namespace, { actor, from, to, ...options }) => ({
    inode: await namespace.rename(actor, from, to, options),
  }),
  async remove(namespace, { actor, path, kind, expect }) {
    await namespace.remove(actor, path, kind, expect);
    return {};
  },
  async removeTree(namespace, { actor, path, expect }) {
    await namespace.removeTree(actor, path, expect);
    return {};
  },
  setAttributes: async (namespace, { actor, path, patch, expect }) => ({
    inode: await namespace.setAttributes(actor, path, patch, expect),
  }),
  setXattr: async (namespace, { actor, path, name, value, mode }) => ({
    inode: await namespace.setXattr(actor, path, name, value, mode),
  }),
  removeXattr: async (namespace, { actor, path, name }) => ({
    inode: await namespace.removeXattr(actor, path, name),
  }),
  beginUpload: (namespace, { actor, path, ...file }) => namespace.beginUpload(actor, path, file),
  finishUpload: async (namespace, { actor, path, upload, entry }) => ({
    inode: await namespace.finishUpload(actor, path, upload, entry),
  }),
  find: async (namespace, { at }) => foundIn(await namespace.find(at)),
  written: async (namespace, { actor, at, content }) => foundIn(await namespace.written(actor, at, content)),
  abandon: async (namespace, { actor, at }) => foundIn(await namespace.abandon(actor, at)),
  refresh: (namespace, { path, known }) => namespace.refresh(path, known),
  sync: async (namespace, { actor, path, ...options }) => ({ changed: await namespace.sync(actor, path, options) }),
  mount: (namespace, { actor, mount }) => namespace.mount(actor, mount),
  async unmount(namespace, { actor, path }) {
    await namespace.unmount(actor, path);
    return {};
  },
  mounts: async (namespace) => ({ mounts: await namespace.mounts() }),
  async lock(namespace, { actor, file, wish, ...options }) {
    const inTheWay = await namespace.lock(actor, file, wish, options);
    return inTheWay ? { inTheWay } : {};
  },
  beginLocks: async (namespace, { actor, session }) => ({ held: await namespace.beginLocks(actor, session) }),
  setQuota: (namespace, { actor, path, limits }) => namespace.setQuota(actor, path, limits),
  async removeQuota(namespace, { actor, path }) {
    await namespace.removeQuota(actor, path);
    return {};
  },
  quotas: async (namespace, { actor, path }) => ({ quotas: await namespace.quotas(actor, path) }),
  room: (namespace, { actor, path }) => namespace.room(actor, path),
  owed: (namespace) => namespace.owed(),
};

const foundIn = <Here extends Found>(found: Here | undefined) => (found ? { found } : {});
