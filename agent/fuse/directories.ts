import { inodeNumber } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { attributesAt } from '#shared/model/row-codec.ts';
import { Handles } from './handles.ts';
import type { Mark } from './kept-handles.ts';
import type { Node } from './nodes.ts';
import { ENTRY_BYTES, OUT_HEADER } from './protocol.ts';
import { errno, Refusal, type Request, u32, u64 } from './requests.ts';
import type { Session } from './session.ts';

const DOTS = 2;
const PAGE = 1024;
const DIRENT_HEADER = 24;
/** d_type. */
const TYPE = { file: 8, directory: 4, symlink: 10, fifo: 1, socket: 12, character: 2, block: 6 } as const;

interface Entry {
  readonly name: Name;
  readonly row: Uint8Array;
}

/** An open directory: a page of entries and the place of its first in the whole. Offsets count entries, `.` and `..` first. */
interface OpenDirectory {
  readonly node: Node;
  entries: readonly Entry[];
  start: number;
  /** The entry before `start`. */
  before: Name | undefined;
  isLast: boolean;
  /** Its record, where a successor may go on with the session. */
  readonly kept: number | undefined;
  replies: number;
  /** Up to where it was read when a process before served it. */
  marks: readonly Mark[];
}

const UNREAD = { entries: [], start: DOTS, before: undefined, isLast: false } as const;

/** What one request asks for: so many bytes of entries, from that place on, with attributes or without. */
interface Wanted {
  readonly offset: number;
  readonly size: number;
  readonly isPlus: boolean;
}

export class Directories {
  readonly #session: Session;
  readonly #open = new Handles<OpenDirectory>();

  constructor(session: Session) {
    this.#session = session;
  }

  open(request: Request): void {
    const node = this.#session.node(request);
    const directory = { node, ...UNREAD, kept: undefined as number | undefined, replies: 0, marks: [] };
    const handle = this.#open.add(directory);
    directory.kept = this.#session.kept?.handles.addDirectory(handle, node.id);
    this.#session.reply.opened(OUT_HEADER, handle, 0);
    this.#session.send(request.unique, 16);
  }

  release(request: Request): void {
    const kept = this.#open.remove(u64(request, 40))?.kept;
    if (kept !== undefined) this.#session.kept?.handles.remove(kept);
    this.#session.send(request.unique, 0);
  }

  /** As a process before has left them. */
  restore(): void {
    const { kept, nodes } = this.#session;
    const values = [...(kept?.handles.directories() ?? [])].flatMap(({ position, handle, marks, ...each }) => {
      const node = nodes.get(each.node);
      if (!node) kept?.handles.remove(position);
      return node ? { handle, value: { node, ...UNREAD, kept: position, replies: 0, marks } } : [];
    });
    this.#open.restore(values);
  }

  read(request: Request, isPlus: boolean): void {
    const directory = this.#open.get(u64(request, 40));
    if (!directory) throw new Refusal(errno.EBADF);
    const offset = u64(request, 48);
    const size = u32(request, 56);
    const isFromBefore = offset === 0 || (offset >= DOTS && offset < directory.start);
    if (isFromBefore) Object.assign(directory, UNREAD);
    const mark = directory.marks.find((each) => each.offset === offset);
    if (mark) Object.assign(directory, { ...UNREAD, start: offset, before: mark.name });
    directory.marks = [];
    this.#serve(request, directory, { offset, size, isPlus });
  }

  #serve(request: Request, directory: OpenDirectory, wanted: Wanted): void {
    const end = directory.start + directory.entries.length;
    if (Math.max(wanted.offset, DOTS) < end || directory.isLast) return this.#emit(request, directory, wanted);
    this.#nextPage(request, directory, () => this.#serve(request, directory, wanted));
  }

  /** From the rows when they are all there is, else from the namespace, which lists the store first. */
  #nextPage(request: Request, directory: OpenDirectory, then: () => void): void {
    const session = this.#session;
    const after = directory.entries.at(-1)?.name ?? directory.before;
    const take = (entries: readonly Entry[]) => {
      directory.start += directory.entries.length;
      directory.entries = entries;
      directory.before = after;
      directory.isLast = entries.length < PAGE;
      then();
    };
    const isUnderWay = after !== undefined && session.rows !== undefined;
    const isHere = isUnderWay || session.isComplete(directory.node, Date.now());
    const page = isHere ? session.rows?.list(directory.node.inodeId, after ?? '', PAGE) : undefined;
    if (page) return take(page);
    session.ask(request, { ask: 'list', path: session.pathOf(directory.node), after, limit: PAGE }, (answer) => {
      take('entries' in answer ? answer.entries : []);
    });
  }

  #emit(request: Request, directory: OpenDirectory, { offset, size, isPlus }: Wanted): void {
    const { reply } = this.#session;
    const limit = OUT_HEADER + Math.min(size, reply.bytes.length - OUT_HEADER - 4096);
    let at = OUT_HEADER;
    let last: Mark | undefined;
    for (let index = offset; ; index++) {
      const isDot = index < DOTS;
      const entry = isDot ? undefined : directory.entries[index - directory.start];
      if (!isDot && !entry) break;
      const name = isDot ? '.'.repeat(index + 1) : (entry?.name ?? '');
      const bytes = (isPlus ? ENTRY_BYTES : 0) + DIRENT_HEADER + name.length;
      const padded = (bytes + 7) & ~7;
      if (at + padded > limit) break;
      this.#write(at, { directory, entry, name, next: index + 1, isPlus });
      reply.clear(at + bytes, padded - bytes);
      at += padded;
      last = entry && { offset: index + 1, name: entry.name };
    }
    if (last && directory.kept !== undefined)
      this.#session.kept?.handles.mark(directory.kept, last, directory.replies++);
    this.#session.send(request.unique, at - OUT_HEADER);
  }

  #write(
    at: number,
    {
      directory,
      entry,
      name,
      next,
      isPlus,
    }: { directory: OpenDirectory; entry: Entry | undefined; name: string; next: number; isPlus: boolean },
  ): void {
    const session = this.#session;
    const { reply } = session;
    const attributes = entry && attributesAt(entry.row);
    let dirent = at;
    if (isPlus) {
      if (entry && attributes) {
        const node = session.looked(directory.node, entry.name, { row: entry.row, attributes });
        // The page was read a while ago; how long its rows may still be believed, the rows of now tell.
        const leftMs = session.leftOf(directory.node.inodeId, entry.name, entry.row);
        reply.entry(at, node.id, session.shown(node, attributes), session.timeouts.of(node, leftMs));
      } else reply.clear(at, ENTRY_BYTES);
      dirent += ENTRY_BYTES;
    }
    reply.u64(dirent, attributes?.inodeNumber ?? inodeNumber(directory.node.inodeId));
    reply.u64(dirent + 8, next);
    reply.u32(dirent + 16, name.length);
    reply.u32(dirent + 20, TYPE[attributes?.kind ?? 'directory']);
    reply.bytes.write(name, dirent + DIRENT_HEADER, 'latin1');
  }
}
