import { base64Of, bytesOfBase64 } from '../model/base64.ts';
import { type InodeId, isSpecial } from '../model/ids.ts';
import type { Inode, Row } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import { decodeRow, encodeRow } from '../model/row-codec.ts';
import type { RowChange } from '../ports/change-feed.ts';

/**
 * A change as the log keeps it. Of the row before there is only the head: what tells one inode from another, and its attributes.
 * `isCut`: so it is with the row after, which was too large.
 */
export interface LoggedChange extends SourcedChange {
  readonly isCut: boolean;
}

/** Of a removal nobody says who made it. */
export interface SourcedChange extends RowChange {
  readonly source?: string;
  readonly isCut?: boolean;
}

/** With what else a change takes, a hundred of them stay below the limits of a row and of a message. */
const ROW_BYTES_MAX = 900;

/** In JSON; bytes are in base 64, because a message of a queue takes no control characters. */
interface Written {
  /** Directory, name, and the rows as they were before and after. */
  readonly d: string;
  readonly n: string;
  readonly b?: string;
  readonly a?: string;
  readonly s?: string;
  readonly cut?: 1;
}

export function changesToText(changes: readonly SourcedChange[]): string {
  return JSON.stringify(changes.map(written));
}

export function changesFromText(text: string): LoggedChange[] {
  return (JSON.parse(text) as Written[]).map(({ d, n, b, a, s, cut }) => ({
    key: { directory: atob(d) as InodeId, name: atob(n) as Name },
    before: b === undefined ? undefined : decodeRow(bytesOfBase64(b)),
    after: a === undefined ? undefined : decodeRow(bytesOfBase64(a)),
    isCut: cut !== undefined,
    ...(s !== undefined && { source: s }),
  }));
}

function written({ key, before, after, source, ...change }: SourcedChange): Written {
  const whole = after && encodeRow(after);
  const isTooLarge = whole !== undefined && whole.length > ROW_BYTES_MAX;
  return {
    d: btoa(key.directory),
    n: btoa(key.name),
    ...(before && { b: base64Of(encodeRow(headOf(before))) }),
    ...(after && whole && { a: base64Of(isTooLarge ? encodeRow(headOf(after)) : whole) }),
    ...(source !== undefined && { s: source }),
    ...((isTooLarge || change.isCut) && { cut: 1 }),
  };
}

function headOf(row: Row): Row {
  if (row.kind === 'record') return { kind: 'record', version: row.version, body: '' };
  const { kind, id, mode, uid, gid, size, atime, mtime, ctime, version, generation } = row;
  return { kind, id, mode, uid, gid, size, atime, mtime, ctime, version, generation };
}

/** Files and directories as users know them, in directories that a path reaches, the root among them. */
export function isOfFiles({ key: { directory }, before, after }: RowChange): boolean {
  return before?.kind !== 'record' && after?.kind !== 'record' && !isSpecial(directory);
}

/** Where a row is put and another inode had its key, that one has gone. */
export function inodesOf({ before, after }: RowChange): {
  readonly gone?: Inode;
  readonly come?: Inode;
  readonly kept?: Inode;
} {
  const [old, now] = [inodeOf(before), inodeOf(after)];
  if (old && now && old.id === now.id) return { kept: now };
  return { ...(old && { gone: old }), ...(now && { come: now }) };
}

const inodeOf = (row: Row | undefined): Inode | undefined => (row && row.kind !== 'record' ? row : undefined);
