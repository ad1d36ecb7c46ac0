import * as z from 'zod';
import { LeatError } from '#shared/model/faults.ts';
import { type Path, toText } from '#shared/model/names.ts';
import type { Actor, Namespace } from '#shared/namespace/namespace.ts';
import { type AnswerOf, type InputOf, type Operation, OPERATIONS, Touched } from '#shared/namespace/operations.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import { type Calling, type Call, patientCall } from './patient-call.ts';

/** As long as a function may take: a whole tree is compared with its store. */
const SYNC_MS_MAX = 900_000;
/** The API commits nothing of a request that has been there for longer. */
const AT_WORK_MS_MAX = 25_000;
/** Until a request arrives, and for what was being committed when its time was over. */
const ON_THE_WAY_MS = 10_000;

export interface RemoteNamespaceDeps extends Calling {
  /** Unique; of letters, digits, `-` and `_`. */
  readonly newToken: () => string;
  /** Awaited before an answer is handed on, whether it is a failure or not. */
  readonly onChanged?: (changed: Changed) => Promise<void>;
}

export interface Changed {
  /** Of what was to be changed. */
  readonly paths: readonly Path[];
  /** The rows that were changed. None: nothing was, or it was done before, or there are too many to name. */
  readonly touched: readonly RowKey[];
}

interface Changing {
  readonly actor: Actor;
  readonly path?: Path;
  readonly from?: Path;
  readonly to?: Path;
  readonly mount?: { readonly path: Path };
}

type Asked = { readonly [Op in Operation]: InputOf<Op> extends { readonly actor: Actor } ? Op : never }[Operation];

/**
 * The namespace behind an API. A mutation carries a token that stays the same when it is sent again, and says that it has been
 * sent before: so what was carried out, with its answer lost on the way, is known again and not done twice.
 */
export function remoteNamespace({ newToken, onChanged, ...calling }: RemoteNamespaceDeps): Namespace {
  const call = patientCall(calling);
  const asking = { call, onChanged: onChanged ?? (async () => {}) };
  const ask = <Op extends Operation>(op: Op, input: InputOf<Op>) => asked(asking, op, { paths: [], body: () => input });
  const change = <Op extends Asked>(op: Op, input: InputOf<Op>) => {
    const { actor, path, from, to, mount } = input as Changing;
    const { token, isRetry: wasSent } = actor.request ?? { token: newToken(), isRetry: false };
    const waitMs = op === 'sync' ? SYNC_MS_MAX : AT_WORK_MS_MAX;
    return asked(asking, op, {
      paths: [path, from, to, mount?.path].filter((each) => each !== undefined),
      body: (isRetry) => ({ ...input, actor: { ...actor, request: { token, isRetry: isRetry || wasSent, waitMs } } }),
      options: { answerMsMax: waitMs + ON_THE_WAY_MS, atWorkMsMax: waitMs + ON_THE_WAY_MS },
    });
  };
  return {
    stat: (actor, path, options) => ask('stat', { actor, path, ...options }),
    list: (actor, path, page) => ask('list', { actor, path, ...page }),
    mkdir: async (actor, path, options) => (await change('mkdir', { actor, path, ...options })).inode,
    create: async (actor, path, options) => (await change('create', { actor, path, ...options })).inode,
    symlink: async (actor, path, target) => (await change('symlink', { actor, path, target })).inode,
    mknod: async (actor, path, options) => (await change('mknod', { actor, path, ...options })).inode,
    link: async (actor, from, to) => (await change('link', { actor, from, to })).inode,
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
    beginUpload: (actor, path, file) => ask('beginUpload', { actor, path, ...file }),
    finishUpload: async (actor, path, upload, entry) =>
      (await change('finishUpload', { actor, path, upload, entry: { ...entry, kind: 'file' } })).inode,
    write: async (_, path) => {
      const next = 'write it to its store, where it shows with the next look';
      throw new LeatError('unsupported', `${toText(path)}: whole files cannot be sent through this API; ${next}`);
    },
    find: async (at) => (await ask('find', { at })).found,
    written: async (actor, at, content) => (await change('written', { actor, at, content })).found,
    abandon: async (actor, at) => (await change('abandon', { actor, at })).found,
    refresh: (path, known) => ask('refresh', { path, known }),
    sync: async (actor, path, options) => (await change('sync', { actor, path, ...options })).changed,
    mount: (actor, mount) => change('mount', { actor, mount }),
    async unmount(actor, path) {
      await change('unmount', { actor, path });
    },
    mounts: async () => (await ask('mounts', {})).mounts,
    lock: async (actor, file, wish, options) => (await change('lock', { actor, file, wish, ...options })).inTheWay,
    beginLocks: async (actor, session) => (await change('beginLocks', { actor, session })).held,
    setQuota: (actor, path, limits) => change('setQuota', { actor, path, limits }),
    async removeQuota(actor, path) {
      await change('removeQuota', { actor, path });
    },
    quotas: async (actor, path) => (await ask('quotas', { actor, path })).quotas,
    room: (actor, path) => ask('room', { actor, path }),
    owed: () => ask('owed', {}),
  };
}

interface Asking {
  readonly call: Call;
  readonly onChanged: (changed: Changed) => Promise<void>;
}

interface Question {
  readonly paths: readonly Path[];
  readonly body: (isRetry: boolean) => object;
  readonly options?: Parameters<Call>[2];
}

async function asked<Op extends Operation>(
  { call, onChanged }: Asking,
  op: Op,
  { paths, body, options = {} }: Question,
): Promise<AnswerOf<Op>> {
  const { input, answer }: { readonly input: z.ZodType; readonly answer: z.ZodType } = OPERATIONS[op];
  let touched: readonly RowKey[] = [];
  try {
    const got = await call(`/v1/namespace/${op}`, (isRetry) => z.encode(input, body(isRetry)), options);
    touched = z.decode(Touched, got as z.input<typeof Touched>).touched ?? [];
    return z.decode(answer, got) as AnswerOf<Op>;
  } finally {
    await onChanged({ paths, touched });
  }
}
