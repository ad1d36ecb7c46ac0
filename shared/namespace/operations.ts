import * as z from 'zod';
import { LeatError } from '../model/faults.ts';
import type { InodeId } from '../model/ids.ts';
import type { Fingerprint, Inode, MountId, StoreKey } from '../model/inode.ts';
import { fromText, type Name, parseName, parsePath, toText } from '../model/names.ts';
import { decodeRow, encodeRow } from '../model/row-codec.ts';

const UID_MAX = 0xffff_ffff;
const GROUPS_MAX = 65_536;
const SOURCE_CHARS_MAX = 200;
const PAGE_ENTRIES_MAX = 10_000;
/** Use cases hold a time to what a row can keep. */
const NANOS = /^-?\d{1,40}$/;
const TOKEN = /^[A-Za-z0-9_-]{1,100}$/;
const ID_BYTES_MAX = 16;

/**
 * The interface `Namespace` as messages of JSON, for both sides: what an operation is asked with, and what it answers. A schema
 * decodes what has arrived, once and wholly checked, and encodes what is sent. Byte strings travel as text (`toText`), whole
 * rows as they are kept, in base64.
 */
const coded = <Value>(decode: (text: string) => Value, encode: (value: Value) => string) =>
  z.codec(z.string(), z.custom<Value>(), { decode, encode });

const Bytes = coded(fromText, toText);
const PathText = coded(parsePath, toText);
const NameText = coded((text) => parseName(fromText(text)), toText);
/** Of a row, which may be one that no path leads to. */
const AnyName = coded((text) => fromText(text) as Name, toText);
const Id = coded(parseId, toText);
const Key = coded((text) => fromText(text) as StoreKey, toText);
const MountName = coded((text) => fromText(text) as MountId, toText);
const Print = coded((text) => fromText(text) as Fingerprint, toText);
const Nanos = coded(parseNanos, String);
const When = z.union([z.literal('now'), Nanos]);
const InodeRow = coded(parseInode, inodeText);
/** Use cases take the 12 bits that they know. */
const Mode = z.int().min(0).max(0xffff);
const Uid = z.int().min(0).max(UID_MAX);
const Options = z.record(z.string(), z.string());

const ActorFields = z.object({
  uid: Uid,
  gid: Uid,
  groups: z.array(Uid).max(GROUPS_MAX).readonly(),
  checked: z.boolean().exactOptional(),
  source: z.string().max(SOURCE_CHARS_MAX).exactOptional(),
  request: z.object({ token: z.string().regex(TOKEN), isRetry: z.boolean() }).exactOptional(),
});

const Found = z.object({
  path: PathText,
  inode: InodeRow,
  origin: z.object({ mount: MountName, key: Key }).exactOptional(),
});
const Upload = z.object({
  origin: z.object({ mount: MountName, key: Key }),
  isNew: z.boolean(),
  inode: InodeRow,
  directory: Id,
});
/** What a store says of an object that has been written. */
const Uploaded = z.object({
  key: Key,
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
  options: Options,
});
const Mount = NewMount.extend({ id: MountName });
const Owed = z.object({
  pending: z.int(),
  failed: z.array(z.object({ what: z.string(), reason: z.string() })).readonly(),
});

/** Beside every answer: the rows that were changed for it, unless there were too many. */
export const Touched = z.object({
  touched: z
    .array(z.object({ directory: Id, name: AnyName }))
    .readonly()
    .exactOptional(),
});
export const TOUCHED_MAX = 1000;

const expect = z.object({ id: Id.exactOptional() }).exactOptional();
const By = z.object({ actor: ActorFields });
const At = By.extend({ path: PathText });

export const OPERATIONS = {
  stat: { input: At.extend({ follow: z.boolean().exactOptional() }), answer: Found },
  list: {
    input: At.extend({ after: NameText.exactOptional(), limit: z.int().min(1).max(PAGE_ENTRIES_MAX) }),
    answer: Listing,
  },
  mkdir: { input: At.extend({ mode: Mode, parents: z.boolean().exactOptional() }), answer: Changed },
  create: { input: At.extend({ mode: Mode }), answer: Changed },
  symlink: { input: At.extend({ target: Bytes }), answer: Changed },
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
  beginUpload: { input: At.extend({ mode: Mode }), answer: Upload },
  finishUpload: { input: At.extend({ upload: Upload, entry: Uploaded }), answer: Changed },
  refresh: { input: z.object({ path: PathText, known: InodeRow }), answer: Found },
  sync: { input: At.extend({ recursive: z.boolean().exactOptional() }), answer: z.object({ changed: z.int() }) },
  mount: { input: By.extend({ mount: NewMount }), answer: Mount },
  unmount: { input: At, answer: Nothing },
  mounts: { input: z.object({}), answer: z.object({ mounts: z.array(Mount).readonly() }) },
  owed: { input: z.object({}), answer: Owed },
} as const satisfies Record<string, { readonly input: z.ZodType; readonly answer: z.ZodType }>;

export type Operation = keyof typeof OPERATIONS;
export type InputOf<Op extends Operation> = z.output<(typeof OPERATIONS)[Op]['input']>;
export type AnswerOf<Op extends Operation> = z.output<(typeof OPERATIONS)[Op]['answer']>;

export function isOperation(name: string): name is Operation {
  return Object.hasOwn(OPERATIONS, name);
}

function parseId(text: string): InodeId {
  const bytes = fromText(text);
  if (bytes.length > ID_BYTES_MAX) throw new LeatError('invalid', `an inode id has at most ${ID_BYTES_MAX} bytes`);
  return bytes as InodeId;
}

function parseNanos(text: string): bigint {
  if (!NANOS.test(text))
    throw new LeatError('invalid', `'${text.slice(0, 64)}': a time is nanoseconds since the epoch`);
  return BigInt(text);
}

function inodeText(inode: Inode): string {
  let bytes = '';
  for (const byte of encodeRow(inode)) bytes += String.fromCharCode(byte);
  return btoa(bytes);
}

function parseInode(text: string): Inode {
  try {
    const row = decodeRow(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)));
    if (row.kind !== 'record') return row;
  } catch (cause) {
    throw new LeatError('invalid', 'the row of an inode cannot be read: use one version of Leat on both sides', {
      cause,
    });
  }
  throw new LeatError('invalid', 'a record stands where the row of an inode was expected');
}
