import { hash, randomBytes } from 'node:crypto';
import type { InodeId } from '#shared/model/ids.ts';
import type { RowKey } from '#shared/ports/metastore.ts';

const ID_BYTES = 16;
const FORETOLD = 0x80;

/** By chance, as many executors make ids without asking each other; by the token of a request always the same one. */
export function drawnId(token?: string): InodeId {
  const bytes = token === undefined ? randomBytes(ID_BYTES) : digest(`drawn ${token}`);
  return idOf(bytes, (bytes[0] ?? 0) & ~FORETOLD);
}

/** The id that the first directory at a key gets. Its first bit tells it from all that are drawn. */
export function foretoldId({ directory, name }: RowKey): InodeId {
  // Ids differ in length, and a name has no NUL.
  const bytes = digest(`${directory}\0${name}`);
  return idOf(bytes, (bytes[0] ?? 0) | FORETOLD);
}

function digest(text: string): Buffer {
  return hash('sha256', Buffer.from(text, 'latin1'), 'buffer').subarray(0, ID_BYTES);
}

function idOf(bytes: Buffer, first: number): InodeId {
  bytes[0] = first;
  return bytes.toString('latin1') as InodeId;
}
