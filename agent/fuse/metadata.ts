import { ABOVE_ROOT, type InodeId } from '#shared/model/ids.ts';
import { type Name, ROOT_PATH } from '#shared/model/names.ts';
import { attributesAt, decodeRow, idAt } from '#shared/model/row-codec.ts';
import { nodeKindIn } from './node-kinds.ts';
import { type Node, pathOf } from './nodes.ts';
import { OUT_HEADER } from './protocol.ts';
import type { Answer, Question } from './questions.ts';
import { errno, FIRST_ARGUMENT, must, nameAt, refuse, Refusal, type Request, u32, u64 } from './requests.ts';
import type { Session } from './session.ts';

const RENAME_NOREPLACE = 1;

/** Answered here when the rows can; a name that the directory's listing should have and has not is not there. */
export function lookup(session: Session, request: Request): void {
  const parent = session.node(request);
  const { name } = nameAt(request, FIRST_ARGUMENT);
  const now = Date.now();
  if (session.isComplete(parent, now)) {
    const row = session.childRow(parent.inodeId, name);
    const attributes = row && attributesAt(row);
    const leftMs = session.rows?.leftMs ?? 0;
    if (attributes && session.isSettled(attributes, now))
      return session.sendEntry(request, parent, { name, row, leftMs });
    if (!attributes && session.rows?.isAbsent(parent.inodeId, name)) return session.error(request.unique, errno.ENOENT);
  }
  askForEntry(session, request, { parent, name, question: { ask: 'stat', path: session.childPath(parent, name) } });
}

interface AskedEntry {
  readonly parent: Node;
  readonly name: Name;
  readonly question: Question;
}

function askForEntry(session: Session, request: Request, { parent, name, question }: AskedEntry): void {
  session.ask(request, question, (answer) => {
    const row = rowIn(answer);
    // What was just made is as new as can be, and the rows may not have it yet.
    const isRead = question.ask === 'stat';
    if (!isRead) session.changes.changed(parent.inodeId);
    session.sendEntry(request, parent, {
      name,
      row,
      ...(isRead && { leftMs: session.leftOf(parent.inodeId, name, row) }),
    });
  });
}

export function getAttributes(session: Session, request: Request): void {
  const node = session.node(request);
  const attributes = session.attributesNow(node);
  if (attributes) return session.sendAttributes(request.unique, node, attributes, session.rows?.leftMs);
  // Replaced or removed: what was said of it stays true for who has it open.
  const kept = (code: number, links = code === errno.ENOENT ? 0 : undefined) => {
    // It may lie elsewhere by now: on ESTALE the kernel looks up what it has come by, on ENOENT it would believe us.
    const last = node.attributes ?? refuse(code === errno.ENOENT ? errno.ESTALE : code);
    session.sendAttributes(request.unique, node, { ...last, links: links ?? last.links });
  };
  const take = (answer: Answer) => {
    const row = rowIn(answer);
    const found = must(attributesAt(row));
    const isOther = node.parent && !node.isOf(row, found);
    if (isOther) return kept(errno.ESTALE, idAt(row) === node.inodeId ? undefined : 0);
    const leftMs = session.leftOf(node.parent?.inodeId ?? ABOVE_ROOT, node.name, row);
    session.sendAttributes(request.unique, node, found, leftMs);
  };
  const lost = (code: number) => {
    if (code === errno.ENOENT && session.otherNames.leave(node)) getAttributes(session, request);
    else kept(code);
  };
  session.ask(request, { ask: 'stat', path: session.pathOf(node) }, take, lost);
}

export function makeDirectory(session: Session, request: Request): void {
  const { name } = nameAt(request, 48);
  make(session, request, name, { ask: 'mkdir', mode: u32(request, 40) & 0o7777, umask: u32(request, 44) });
}

export function makeSymlink(session: Session, request: Request): void {
  const { name, end } = nameAt(request, FIRST_ARGUMENT);
  const target = request.bytes.toString('latin1', end, request.bytes.indexOf(0, end));
  make(session, request, name, { ask: 'symlink', target });
}

/** A regular file too: without a handle, so nobody writes it yet. */
export function makeNode(session: Session, request: Request): void {
  const { name } = nameAt(request, 56);
  const mode = u32(request, 40);
  const kind = nodeKindIn(mode) ?? refuse(errno.EINVAL);
  make(session, request, name, {
    ask: 'mknod',
    mode: mode & 0o7777,
    umask: u32(request, 48),
    kind,
    device: u32(request, 44),
  });
}

export function makeLink(session: Session, request: Request): void {
  const node = session.nodes.get(u64(request, FIRST_ARGUMENT)) ?? refuse(errno.ESTALE);
  const parent = session.node(request);
  const { name } = nameAt(request, 48);
  const question = { ask: 'link', path: session.pathOf(node), to: session.childPath(parent, name) } as const;
  askForEntry(session, request, { parent, name, question });
}

type Making =
  | Omit<Question & { readonly ask: 'mknod' }, 'path'>
  | { readonly ask: 'mkdir'; readonly mode: number; readonly umask: number }
  | { readonly ask: 'symlink'; readonly target: string };

function make(session: Session, request: Request, name: Name, making: Making): void {
  const parent = session.node(request);
  askForEntry(session, request, { parent, name, question: { ...making, path: session.childPath(parent, name) } });
}

export function remove(session: Session, request: Request, kind: 'file' | 'directory'): void {
  const parent = session.node(request);
  const { name } = nameAt(request, FIRST_ARGUMENT);
  const going = idIn(session, parent, name);
  session.ask(request, { ask: 'remove', path: session.childPath(parent, name), kind, going }, () => {
    session.otherNames.parted(parent, name);
    session.changes.changed(parent.inodeId);
    session.send(request.unique, 0);
  });
}

function idIn(session: Session, parent: Node, name: Name): InodeId | undefined {
  const row = session.childRow(parent.inodeId, name);
  return row && idAt(row);
}

export function rename(session: Session, request: Request, namesAt: number): void {
  const flags = namesAt > 48 ? u32(request, 48) : 0;
  if (flags & ~RENAME_NOREPLACE) throw new Refusal(errno.EINVAL);
  const source = session.node(request);
  const target = session.nodes.get(u64(request, FIRST_ARGUMENT)) ?? refuse(errno.ESTALE);
  const { name, end } = nameAt(request, namesAt);
  const { name: newName } = nameAt(request, end);
  const path = session.childPath(source, name);
  const to = session.childPath(target, newName);
  const going = idIn(session, target, newName);
  session.ask(request, { ask: 'rename', path, to, noReplace: flags === RENAME_NOREPLACE, going }, (answer) => {
    const row = rowIn(answer);
    session.otherNames.parted(target, newName); // what was replaced
    const node = session.looked(target, newName, { row, attributes: must(attributesAt(row)) });
    session.nodes.forget(node.id, 1); // this was no lookup of the kernel's
    for (const { inodeId } of [source, target]) session.changes.changed(inodeId);
    session.send(request.unique, 0);
  });
}

export function readLink(session: Session, request: Request): void {
  withRow(session, request, (bytes) => {
    const row = decodeRow(bytes);
    const target = row.kind === 'symlink' ? (row.target ?? '') : '';
    session.reply.bytes.write(target, OUT_HEADER, 'latin1');
    session.send(request.unique, target.length);
  });
}

export function withRow(session: Session, request: Request, use: (bytes: Uint8Array) => void): void {
  const node = session.node(request);
  const seen = session.rowOf(node);
  if (seen) return use(seen.row);
  session.ask(request, { ask: 'stat', path: session.pathOf(node) }, (answer) => use(rowIn(answer)));
}

export function statfs(session: Session, request: Request): void {
  const node = session.nodes.get(request.node);
  const path = (node && pathOf(node)) ?? ROOT_PATH;
  session.ask(request, { ask: 'statfs', path }, (answer) => {
    if (!('total' in answer)) throw new Refusal(errno.EIO);
    const { reply } = session;
    const BLOCK = 4096;
    reply.clear(OUT_HEADER, 80);
    reply.u64(OUT_HEADER, Math.floor(answer.total / BLOCK));
    reply.u64(OUT_HEADER + 8, Math.floor(answer.free / BLOCK));
    reply.u64(OUT_HEADER + 16, Math.floor(answer.free / BLOCK));
    reply.u64(OUT_HEADER + 24, answer.files);
    reply.u64(OUT_HEADER + 32, answer.filesFree);
    reply.u32(OUT_HEADER + 40, BLOCK);
    reply.u32(OUT_HEADER + 44, 255);
    reply.u32(OUT_HEADER + 48, BLOCK);
    session.send(request.unique, 80);
  });
}

export function forget(session: Session, request: Request): void {
  session.nodes.forget(request.node, u64(request, FIRST_ARGUMENT));
}

export function forgetMany(session: Session, request: Request): void {
  const count = u32(request, FIRST_ARGUMENT);
  for (let i = 0; i < count; i++) session.nodes.forget(u64(request, 48 + i * 16), u64(request, 56 + i * 16));
}

export function rowIn(answer: object): Uint8Array {
  if ('row' in answer) return answer.row as Uint8Array;
  throw new Refusal(errno.EIO);
}
