import * as z from 'zod';
import { LeatError } from '#shared/model/faults.ts';
import { toText } from '#shared/model/names.ts';
import type { Actor, Namespace } from '#shared/namespace/namespace.ts';
import { type AnswerOf, type InputOf, type Operation, OPERATIONS, Touched } from '#shared/namespace/operations.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import { type Calling, type Call, patientCall } from './patient-call.ts';

/** As long as a function may take: a whole tree is compared with its store. */
const SYNC_MS_MAX = 900_000;

export interface RemoteNamespaceDeps extends Calling {
  /** Unique; of letters, digits, `-` and `_`. */
  readonly newToken: () => string;
  /** Called with the rows that were changed, before what changed them is answered. */
  readonly onTouched?: (keys: readonly RowKey[]) => void;
}

type Asked = { readonly [Op in Operation]: InputOf<Op> extends { readonly actor: Actor } ? Op : never }[Operation];

/**
 * The namespace behind an API. A mutation carries a token that stays the same when it is sent again, and says that it has been
 * sent before: so what was carried out, with its answer lost on the way, is known again and not done twice.
 */
export function remoteNamespace({ newToken, onTouched = () => {}, ...calling }: RemoteNamespaceDeps): Namespace {
  const call = patientCall(calling);
  const ask = async <Op extends Operation>(op: Op, input: InputOf<Op>): Promise<AnswerOf<Op>> =>
    asked({ call, onTouched }, op, () => input);
  const change = async <Op extends Asked>(op: Op, input: InputOf<Op>): Promise<AnswerOf<Op>> => {
    const { actor } = input as { readonly actor: Actor };
    const { token, isRetry: wasSent } = actor.request ?? { token: newToken(), isRetry: false };
    return asked({ call, onTouched }, op, (isRetry) => {
      const request = { token, isRetry: isRetry || wasSent };
      return { ...input, actor: { ...actor, request } };
    });
  };
  return {
    stat: (actor, path, options) => ask('stat', { actor, path, ...options }),
    list: (actor, path, page) => ask('list', { actor, path, ...page }),
    mkdir: async (actor, path, options) => (await change('mkdir', { actor, path, ...options })).inode,
    create: async (actor, path, options) => (await change('create', { actor, path, ...options })).inode,
    symlink: async (actor, path, target) => (await change('symlink', { actor, path, target })).inode,
    rename: async (actor, from, to, options) => (await change('rename', { actor, from, to, ...options })).inode,
    async remove(actor, path, kind, expect) {
      await change('remove', { actor, path, kind, ...(expect && { expect }) });
    },
    async removeTree(actor, path, expect) {
      await change('removeTree', { actor, path, ...(expect && { expect }) });
    },
    setAttributes: async (actor, path, patch, expect) =>
      (await change('setAttributes', { actor, path, patch, ...(expect && { expect }) })).inode,
    setXattr: async (actor, path, name, value, mode) =>
      (await change('setXattr', { actor, path, name, value, mode })).inode,
    removeXattr: async (actor, path, name) => (await change('removeXattr', { actor, path, name })).inode,
    beginUpload: (actor, path, { mode }) => change('beginUpload', { actor, path, mode }),
    finishUpload: async (actor, path, upload, { key, kind: _, size, mtime, fingerprint }) => {
      const said = { ...(mtime !== undefined && { mtime }), ...(fingerprint !== undefined && { fingerprint }) };
      const entry = { key, kind: 'file', size, ...said } as const;
      return (await change('finishUpload', { actor, path, upload, entry })).inode;
    },
    write: async (_, path) => {
      const next = 'write it to its store, where it shows with the next look';
      throw new LeatError('unsupported', `${toText(path)}: whole files cannot be sent through this API; ${next}`);
    },
    refresh: (path, known) => ask('refresh', { path, known }),
    sync: async (actor, path, options) => (await change('sync', { actor, path, ...options })).changed,
    mount: (actor, mount) => change('mount', { actor, mount }),
    async unmount(actor, path) {
      await change('unmount', { actor, path });
    },
    mounts: async () => (await ask('mounts', {})).mounts,
    owed: () => ask('owed', {}),
  };
}

async function asked<Op extends Operation>(
  { call, onTouched }: { readonly call: Call; readonly onTouched: (keys: readonly RowKey[]) => void },
  op: Op,
  input: (isRetry: boolean) => object,
): Promise<AnswerOf<Op>> {
  const schemas: { readonly input: z.ZodType; readonly answer: z.ZodType } = OPERATIONS[op];
  const body = (isRetry: boolean) => z.encode(schemas.input, input(isRetry));
  const answer = await call(`/v1/namespace/${op}`, body, op === 'sync' ? { answerMsMax: SYNC_MS_MAX } : {});
  onTouched(z.decode(Touched, answer as z.input<typeof Touched>).touched ?? []);
  return z.decode(schemas.answer, answer) as AnswerOf<Op>;
}
