import { attributesAt, decodeRow } from '#shared/model/row-codec.ts';
import { ACCESS_ACL, DEFAULT_ACL } from '#shared/namespace/acl.ts';
import { rowIn, withRow } from './metadata.ts';
import { OUT_HEADER } from './protocol.ts';
import { errno, FIRST_ARGUMENT, must, nameAt, Refusal, type Request, u32, xattrMode } from './requests.ts';
import type { Session } from './session.ts';

const ACL_KILL_SGID = 1;
const SUPERUSER = 0;

export function getXattr(session: Session, request: Request): void {
  const size = u32(request, 40);
  const { name } = nameAt(request, 48);
  demandKept(session, name);
  const node = session.node(request);
  // Asked of every file by `ls -l`: most have none, and the head of a row says so.
  if (session.rowOf(node)?.attributes.hasXattrs === false) throw new Refusal(errno.ENODATA);
  withRow(session, request, (bytes) => {
    const row = decodeRow(bytes);
    const value = row.kind === 'record' ? undefined : row.xattrs?.[name];
    if (value === undefined) throw new Refusal(errno.ENODATA);
    sendSized(session, request, size, value);
  });
}

export function listXattrs(session: Session, request: Request): void {
  const size = u32(request, 40);
  const { uid } = request.caller;
  withRow(session, request, (bytes) => {
    const row = decodeRow(bytes);
    const all = row.kind === 'record' ? [] : Object.keys(row.xattrs ?? {});
    // As of other file systems: what only root can read, only root sees.
    const names = all.filter((name) => isKept(session, name) && (uid === SUPERUSER || !name.startsWith('trusted.')));
    sendSized(session, request, size, names.map((name) => `${name}\0`).join(''));
  });
}

export function setXattr(session: Session, request: Request): void {
  const size = u32(request, 40);
  const flags = u32(request, 44);
  // Older kernels have no second word of flags. It is 0 or 1, which no name begins with.
  const hasMoreFlags = (request.bytes[48] ?? 0) <= ACL_KILL_SGID;
  const losesSetgid = hasMoreFlags && (u32(request, 48) & ACL_KILL_SGID) !== 0;
  const { name, end } = nameAt(request, hasMoreFlags ? 56 : 48);
  demandKept(session, name);
  const value = request.bytes.toString('latin1', end, end + size);
  changeXattr(session, request, { ask: 'setXattr', name, value, mode: xattrMode(flags), losesSetgid });
}

export function removeXattr(session: Session, request: Request): void {
  const { name } = nameAt(request, FIRST_ARGUMENT);
  demandKept(session, name);
  changeXattr(session, request, { ask: 'removeXattr', name });
}

/** Of what is not kept at all (labels, capabilities), programs ask one file, and then no other of this file system. */
function demandKept(session: Session, name: string): void {
  if (!isKept(session, name)) throw new Refusal(errno.EOPNOTSUPP);
}

function isKept({ options }: Session, name: string): boolean {
  if (name === ACCESS_ACL || name === DEFAULT_ACL) return options.hasAcls;
  return name.startsWith('user.') || name.startsWith('trusted.');
}

type XattrChange =
  | {
      readonly ask: 'setXattr';
      readonly name: string;
      readonly value: string;
      readonly mode: 'set' | 'create' | 'replace';
      readonly losesSetgid: boolean;
    }
  | { readonly ask: 'removeXattr'; readonly name: string };

function changeXattr(session: Session, request: Request, change: XattrChange): void {
  const node = session.node(request);
  session.ask(request, { ...change, path: session.pathOf(node) }, (answer) => {
    if (node.attributes) node.attributes = must(attributesAt(rowIn(answer)));
    session.send(request.unique, 0);
  });
}

/** Size 0 asks how much there is. */
function sendSized(session: Session, request: Request, size: number, value: string): void {
  if (size === 0) {
    session.reply.u32(OUT_HEADER, value.length);
    session.reply.u32(OUT_HEADER + 4, 0);
    return session.send(request.unique, 8);
  }
  if (value.length > size) throw new Refusal(errno.ERANGE);
  session.reply.bytes.write(value, OUT_HEADER, 'latin1');
  session.send(request.unique, value.length);
}
