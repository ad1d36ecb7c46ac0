import * as z from 'zod';
import { base64Of, bytesOfBase64 } from '../model/base64.ts';
import { LeatError } from '../model/faults.ts';
import type { InodeId } from '../model/ids.ts';
import type { Fingerprint, Inode, MountId, Row, StoreKey } from '../model/inode.ts';
import { LAST_BYTE } from '../model/locks.ts';
import { fromText, type Name, parseName, parsePath, toText } from '../model/names.ts';
import { decodeRow, encodeRow } from '../model/row-codec.ts';

const UID_MAX = 0xffff_ffff;
/** Use cases hold a time to what a row can keep. */
const NANOS = /^-?\d{1,40}$/;
const OFFSET = /^\d{1,19}$/;
const ID_BYTES_MAX = 16;

/**
 * The values of the domain in messages of JSON, for both sides. A schema decodes what has arrived, once and wholly checked, and
 * encodes what is sent. Byte strings travel as text (`toText`), whole rows as they are kept, in base64.
 */
const coded = <Value>(decode: (text: string) => Value, encode: (value: Value) => string) =>
  z.codec(z.string(), z.custom<Value>(), { decode, encode });

export const Bytes = coded(fromText, toText);
export const PathText = coded(parsePath, toText);
export const NameText = coded((text) => parseName(fromText(text)), toText);
export const Id = coded(parseId, toText);
/** Of any row, also one that no path leads to. */
export const Key = z.object({ directory: Id, name: coded((text) => fromText(text) as Name, toText) });
export const ObjectKey = coded((text) => fromText(text) as StoreKey, toText);
export const MountName = coded((text) => fromText(text) as MountId, toText);
export const Print = coded((text) => fromText(text) as Fingerprint, toText);
export const Nanos = coded(parseNanos, String);
export const Offset = coded(parseOffset, String);
export const InodeRow = coded(parseInode, rowText);
export const AnyRow = coded(parseRow, rowText);
/** Use cases take the 12 bits that they know. */
export const Mode = z.int().min(0).max(0xffff);
export const Uid = z.int().min(0).max(UID_MAX);

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

function parseOffset(text: string): bigint {
  if (!OFFSET.test(text) || BigInt(text) > LAST_BYTE)
    throw new LeatError('invalid', `'${text.slice(0, 64)}': an offset is from 0 to ${LAST_BYTE}`);
  return BigInt(text);
}

function rowText(row: Row): string {
  return base64Of(encodeRow(row));
}

function parseInode(text: string): Inode {
  const row = parseRow(text);
  if (row.kind !== 'record') return row;
  throw new LeatError('invalid', 'a record stands where the row of an inode was expected');
}

function parseRow(text: string): Row {
  try {
    return decodeRow(bytesOfBase64(text));
  } catch (cause) {
    throw new LeatError('invalid', 'a row cannot be read: use one version of Leat on both sides', { cause });
  }
}
