import * as z from 'zod';
import { parseAgentId } from './agents.ts';
import {
  Bytes,
  Id,
  InodeRow,
  Key,
  Mode,
  MountName,
  NameText,
  Nanos,
  ObjectKey,
  Offset,
  PathText,
  Print,
  Uid,
} from './messages.ts';
import { WRITE_TYPES } from '../model/write-types.ts';

const GROUPS_MAX = 65_536;
const SOURCE_CHARS_MAX = 200;
/** What st_rdev holds. */
const DEVICE_MAX = 0xffff_ffff;
const HOLDER_CHARS_MAX = 100;
const PAGE_ENTRIES_MAX = 10_000;
const TEXT_CHARS_MAX = 100;
const TOKEN = /^[A-Za-z0-9_-]{1,100}$/;
/** As long as a function may take. */
const WAIT_MS_MAX = 900_000;

const When = z.union([z.literal('now'), Nanos]);
const ActorFields = z.object({
  uid: Uid,
  gid: Uid,
  groups: z.array(Uid).max(GROUPS_MAX).readonly(),
  checked: z.boolean().exactOptional(),
  source: z.string().max(SOURCE_CHARS_MAX).exactOptional(),
  request: z
    .object({
      token: z.string().regex(TOKEN),
      isRetry: z.boolean(),
      /** When the caller asks again: from when the request has arrived. */
      waitMs: z.int().min(1).max(WAIT_MS_MAX).exactOptional(),
    })
    .exactOptional(),
});

const Found = z.object({
  path: PathText,
  inode: InodeRow,
  origin: z.object({ mount: MountName, key: ObjectKey }).exactOptional(),
});
const Size = z.int().min(0);
const WrittenFile = Found.extend({ writeType: z.enum(WRITE_TYPES), bytesLeft: Size.exactOptional() });
const Upload = z.object({
  origin: z.object({ mount: MountName, key: ObjectKey }),
  isNew: z.boolean(),
  inode: InodeRow,
  directory: Id,
});
/** What a store says of an object that has been written. */
const Uploaded = z.object({
  key: ObjectKey,
  kind: z.literal('file'),
  size: z.int().min(0),
  mtime: Nanos.exactOptional(),
  fingerprint: Print.exactOptional(),
});
const Listing = z.object({
  entries: z.array(z.object({ name: NameText, inode: InodeRow })).readonly(),
  next: NameText.exactOptional(),
});
const Changed = z.object({ inode: InodeRow });
const Nothing = z.object({});
const NewMount = z.object({
  path: PathText,
  uri: z.string(),
  readOnly: z.boolean(),
  syncIntervalMs: z.int().min(-1),
  options: z.record(z.string(), z.string()),
});
const Mount = NewMount.extend({ id: MountName });
const Owed = z.object({
  pending: z.int(),
  failed: z.array(z.object({ what: z.string(), reason: z.string() })).readonly(),
});

const AgentId = z.codec(z.string(), z.custom<string>(), { decode: parseAgentId, encode: (id) => id });
const Text = z.string().min(1).max(TEXT_CHARS_MAX);
const LockFields = z.object({
  agent: AgentId,
  session: Text,
  owner: Text,
  pid: z.int(),
  space: z.enum(['bytes', 'whole']),
  start: Offset,
  end: Offset,
});
const HeldLock = LockFields.extend({ type: z.enum(['shared', 'exclusive']) });
const Wish = LockFields.extend({ type: z.enum(['shared', 'exclusive', 'none']) });

const Limits = z.object({ bytes: Size.exactOptional(), entries: Size.exactOptional() });
const Quota = z.object({ path: PathText, limits: Limits, used: z.object({ bytes: Size, entries: Size }) });
const Left = z.object({ limit: Size, left: Size });

/** Beside every answer: the rows that were changed for it, unless there were too many. */
export const Touched = z.object({
  touched: z.array(Key).readonly().exactOptional(),
});
export const TOUCHED_MAX = 1000;

const newMode = { mode: Mode, umask: Mode.exactOptional() };
const expect = z.object({ id: Id.exactOptional() }).exactOptional();
const By = z.object({ actor: ActorFields });
const At = By.extend({ path: PathText });
const RowOf = Key.extend({ id: Id });

/** The interface `Namespace` as messages: what an operation is asked with, and what it answers. */
export const OPERATIONS = {
  stat: {
    input: At.extend({ follow: z.boolean().exactOptional(), toWrite: z.boolean().exactOptional() }),
    answer: Found,
  },
  list: {
    input: At.extend({ after: NameText.exactOptional(), limit: z.int().min(1).max(PAGE_ENTRIES_MAX) }),
    answer: Listing,
  },
  mkdir: { input: At.extend({ ...newMode, parents: z.boolean().exactOptional() }), answer: Changed },
  create: {
    input: At.extend({ ...newMode, holder: z.string().max(HOLDER_CHARS_MAX).exactOptional() }),
    answer: Changed,
  },
  symlink: { input: At.extend({ target: Bytes }), answer: Changed },
  mknod: {
    input: At.extend({
      ...newMode,
      kind: z.enum(['fifo', 'socket', 'character', 'block']),
      device: z.int().min(0).max(DEVICE_MAX).exactOptional(),
    }),
    answer: Changed,
  },
  link: { input: By.extend({ from: PathText, to: PathText }), answer: Changed },
  rename: {
    input: By.extend({
      from: PathText,
      to: PathText,
      noReplace: z.boolean().exactOptional(),
      id: Id.exactOptional(),
    }),
    answer: Changed,
  },
  remove: { input: At.extend({ kind: z.enum(['file', 'directory']), expect }), answer: Nothing },
  removeTree: { input: At.extend({ expect }), answer: Nothing },
  setAttributes: {
    input: At.extend({
      patch: z.object({
        mode: Mode.exactOptional(),
        uid: Uid.exactOptional(),
        gid: Uid.exactOptional(),
        atime: When.exactOptional(),
        mtime: When.exactOptional(),
      }),
      expect,
    }),
    answer: Changed,
  },
  setXattr: {
    input: At.extend({ name: Bytes, value: Bytes, mode: z.enum(['set', 'create', 'replace']) }),
    answer: Changed,
  },
  removeXattr: { input: At.extend({ name: Bytes }), answer: Changed },
  beginUpload: { input: At.extend({ mode: Mode, size: Size.exactOptional() }), answer: Upload },
  finishUpload: { input: At.extend({ upload: Upload, entry: Uploaded }), answer: Changed },
  find: { input: z.object({ at: RowOf }), answer: z.object({ found: WrittenFile.exactOptional() }) },
  written: {
    input: By.extend({
      at: RowOf,
      content: z.object({
        size: z.int().min(0),
        mtime: Nanos,
        holder: z.string().max(HOLDER_CHARS_MAX),
        generation: z.int().min(0),
      }),
    }),
    answer: z.object({ found: WrittenFile.exactOptional() }),
  },
  abandon: { input: By.extend({ at: RowOf }), answer: z.object({ found: Found.exactOptional() }) },
  refresh: { input: z.object({ path: PathText, known: InodeRow }), answer: Found },
  sync: { input: At.extend({ recursive: z.boolean().exactOptional() }), answer: z.object({ changed: z.int() }) },
  mount: { input: By.extend({ mount: NewMount }), answer: Mount },
  unmount: { input: At, answer: Nothing },
  mounts: { input: z.object({}), answer: z.object({ mounts: z.array(Mount).readonly() }) },
  lock: {
    input: By.extend({ file: Id, wish: Wish, isTest: z.boolean().exactOptional() }),
    answer: z.object({ inTheWay: HeldLock.exactOptional() }),
  },
  beginLocks: {
    input: By.extend({ session: z.object({ agent: AgentId, session: Text, isNew: z.boolean() }) }),
    answer: z.object({ held: z.array(z.object({ file: Id, lock: HeldLock })).readonly() }),
  },
  setQuota: { input: At.extend({ limits: Limits }), answer: Quota },
  removeQuota: { input: At, answer: Nothing },
  quotas: { input: At, answer: z.object({ quotas: z.array(Quota).readonly() }) },
  room: { input: At, answer: z.object({ bytes: Left.exactOptional(), entries: Left.exactOptional() }) },
  owed: { input: z.object({}), answer: Owed },
} as const satisfies Record<string, { readonly input: z.ZodType; readonly answer: z.ZodType }>;

export type Operation = keyof typeof OPERATIONS;
export type InputOf<Op extends Operation> = z.output<(typeof OPERATIONS)[Op]['input']>;
export type AnswerOf<Op extends Operation> = z.output<(typeof OPERATIONS)[Op]['answer']>;

export function isOperation(name: string): name is Operation {
  return Object.hasOwn(OPERATIONS, name);
}
