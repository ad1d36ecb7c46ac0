import { ftruncateSync } from 'node:fs';
import type { InodeId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { attributesAt } from '#shared/model/row-codec.ts';
import { type BytesRange, cutRange } from '../dirty/base-blocks.ts';
import { allocate, seek } from '../dirty/local-calls.ts';
import { type Progress, tellCut, tellWritten } from '../dirty/progress.ts';
import type { LiveFile } from './live-files.ts';
import { writerOf } from './live-opens.ts';
import { rowIn } from './metadata.ts';
import type { Node } from './nodes.ts';
import type { OpenFile, OpenFiles } from './open-files.ts';
import { OUT_HEADER } from './protocol.ts';
import type { Answer } from './questions.ts';
import {
  errno,
  FILE_BYTES_MAX,
  locally,
  must,
  nameAt,
  O_TRUNC,
  Refusal,
  refuse,
  type Request,
  u32,
  u64,
  writeLocally,
} from './requests.ts';
import type { Session } from './session.ts';
import { changing, givingUpStored } from './upon-base.ts';

const O_EXCL = 0o200;
const CREATE_NAME = 56;
const WRITE_DATA = 80;
const FALLOC_KEEP_SIZE = 1;
const SEEK_DATA = 3;

/** Changes of content. The bytes go to the local file from here; the main thread knows who writes. */
export class Writing {
  readonly #session: Session;
  readonly #open: OpenFiles;

  constructor(session: Session, open: OpenFiles) {
    this.#session = session;
    this.#open = open;
  }

  create(request: Request): void {
    const session = this.#session;
    const parent = session.node(request);
    const { name } = nameAt(request, CREATE_NAME);
    const flags = u32(request, 40);
    const path = session.childPath(parent, name);
    const mode = u32(request, 44) & 0o7777;
    const umask = u32(request, 48);
    const question = { ask: 'create', path, directory: parent.inodeId, name, mode, umask } as const;
    const refused = (code: number) => {
      // Made by another meanwhile.
      if (code !== errno.EEXIST || flags & O_EXCL) return session.error(request.unique, code);
      this.#openFound(request, { parent, name, flags });
    };
    session.ask(request, question, (answer) => this.#created(request, { parent, name }, answer), refused);
  }

  open(request: Request): void {
    const node = this.#session.node(request);
    const isTruncated = (u32(request, 40) & O_TRUNC) !== 0;
    this.begin(request, { node, isTruncated }, (live) => {
      this.#open.opened(request, this.#writerOf(node, live));
    });
  }

  /** One writer more, of a file that is there. Ends with `end`. */
  begin(
    request: Request,
    { node, isTruncated }: { readonly node: Node; readonly isTruncated: boolean },
    then: (live: LiveFile) => void,
  ): void {
    const session = this.#session;
    const path = session.pathOf(node);
    const { directory, name } = keyOf(node);
    const question = { ask: 'write', path, directory, name, id: node.inodeId, isTruncated } as const;
    node.attributes ??= session.attributesOf(node);
    session.ask(request, question, (answer) => {
      if ('row' in answer) node.attributes ??= must(attributesAt(answer.row));
      const live = session.live.begin(node, 'base' in answer ? answer : {});
      if (isTruncated) live.toldTo = 0;
      then(live);
    });
  }

  end(node: Node): void {
    // First, as the main thread stamps the file once it hears.
    this.#session.live.released(node);
    this.#session.post({ release: node.inodeId });
  }

  write(request: Request): void {
    const live = this.#liveOf(this.#open.get(request));
    const range = within({ offset: u64(request, 48), length: u32(request, 56) });
    if (range.offset + range.length > live.sizeMax) throw new Refusal(errno.EDQUOT);
    if (this.#session.counters.takeRoom(range.length)) return this.#write(request, live, range);
    const kept = { ...request, bytes: Buffer.from(request.bytes.subarray(0, request.length)) };
    this.#session.ask(request, { ask: 'room', bytes: range.length }, () => this.#write(kept, live, range));
  }

  #write(request: Request, live: LiveFile, range: BytesRange): void {
    changing(this.#session, request, { live, range }, (bytes) => {
      const written = writeLocally(live, bytes, WRITE_DATA, range);
      this.#written(live, range);
      this.#session.reply.u32(OUT_HEADER, written);
      this.#session.reply.u32(OUT_HEADER + 4, 0);
      this.#session.send(request.unique, 8);
    });
  }

  truncate(request: Request, live: LiveFile, { size, done }: { readonly size: number; done(): void }): void {
    if (size > FILE_BYTES_MAX) throw new Refusal(errno.EFBIG);
    if (size > live.sizeMax) throw new Refusal(errno.EDQUOT);
    changing(this.#session, request, { live, range: cutRange(size) }, () => {
      locally(() => ftruncateSync(live.fd, size));
      tellCut(live, size, this.#tellOf(live));
      done();
    });
  }

  allocate(request: Request): void {
    const live = this.#liveOf(this.#open.get(request));
    const mode = u32(request, 64);
    const range = within({ offset: u64(request, 48), length: u64(request, 56) });
    if (!(mode & FALLOC_KEEP_SIZE) && range.offset + range.length > live.sizeMax) throw new Refusal(errno.EDQUOT);
    // Room alone changes no content.
    const changed = mode & ~FALLOC_KEEP_SIZE ? range : { offset: range.offset, length: 0 };
    changing(this.#session, request, { live, range: changed }, () => {
      locally(() => allocate(live.fd, mode, range.offset, range.length));
      if (changed.length > 0) this.#written(live, changed);
      this.#session.send(request.unique, 0);
    });
  }

  /** What grows large is sent to its store while it is written. */
  #written(live: LiveFile, range: BytesRange): void {
    if (live.node.syncIntervalMs === undefined || live.base) return;
    tellWritten(live, range, this.#tellOf(live));
  }

  #tellOf({ node }: LiveFile): (progress: Progress) => void {
    return (progress) => this.#session.post({ written: node.inodeId, progress });
  }

  /** Where data and holes are. What is not written here, or not all here, is all data. */
  seek(request: Request): void {
    const session = this.#session;
    const { node } = this.#open.get(request);
    const offset = u64(request, 48);
    const whence = u32(request, 56);
    const live = session.live.get(node);
    const { size } = session.live.shown(node, session.attributesOf(node) ?? refuse(errno.ESTALE));
    if (offset >= size) throw new Refusal(errno.ENXIO);
    const isHere = live && !live.base?.isPartial && !live.isSettled;
    const found = isHere ? locally(() => seek(live.fd, offset, whence)) : whence === SEEK_DATA ? offset : size;
    session.reply.u64(OUT_HEADER, found);
    session.send(request.unique, 8);
  }

  /** `before` is handed the reply, for what is to be done once the bytes are where they belong. */
  flush(request: Request, before: (reply: () => void) => void): void {
    if (this.#session.options.isTraining) throw new Refusal(errno.ENOSYS); // nothing is written, and nothing open
    this.#settle(request, 'flush', before);
  }

  sync(request: Request): void {
    if (this.#session.options.isTraining) return this.#session.send(request.unique, 0);
    this.#settle(request, 'sync', (reply) => reply());
  }

  release(request: Request): void {
    const file = this.#open.release(request);
    if (file?.isWriter) this.end(file.node);
  }

  /** A request comes again, because it was not answered: what it has opened is closed, as nobody else will. */
  undo(unique: Request['unique']): void {
    const { node, isWriter } = this.#open.undo(unique) ?? {};
    if (node && isWriter) this.end(node);
  }

  #settle(request: Request, ask: 'flush' | 'sync', before: (reply: () => void) => void): void {
    const session = this.#session;
    const done = () => before(() => session.send(request.unique, 0));
    const { node, isWriter } = this.#open.get(request);
    const live = session.live.get(node);
    if (!live || live.isSettled || (ask === 'flush' && !isWriter)) return done();
    const answered = (answer: Answer) => {
      keepStored(live, answer);
      // What the kernel has open by itself is what it maps.
      if (this.#open.backings.isOpen(node)) return done();
      givingUpStored(session, request, live, done);
    };
    session.ask(request, { ask, id: node.inodeId }, answered, (code) =>
      before(() => session.error(request.unique, code)),
    );
  }

  #liveOf({ node, isWriter }: OpenFile): LiveFile {
    if (!isWriter) throw new Refusal(errno.EBADF);
    return this.#session.live.get(node) ?? refuse(errno.EBADF);
  }

  #writerOf(node: Node, live: LiveFile): OpenFile {
    return writerOf(this.#open, node, { live, room: this.#session.counters.room });
  }

  #created(request: Request, { parent, name }: { readonly parent: Node; readonly name: Name }, answer: Answer): void {
    const session = this.#session;
    const row = rowIn(answer);
    session.changes.changed(parent.inodeId);
    const node = session.enter(parent, name, row);
    const live = session.live.begin(node, 'base' in answer ? answer : {});
    node.attributes ??= must(attributesAt(row));
    this.#open.created(request, this.#writerOf(node, live));
  }

  #openFound(
    request: Request,
    { parent, name, flags }: { readonly parent: Node; readonly name: Name; readonly flags: number },
  ): void {
    const session = this.#session;
    const path = session.childPath(parent, name);
    session.ask(request, { ask: 'stat', path }, (answer) => {
      const row = rowIn(answer);
      const node = session.enter(parent, name, row);
      node.attributes ??= must(attributesAt(row));
      this.begin(request, { node, isTruncated: (flags & O_TRUNC) !== 0 }, (live) => {
        session.enter(parent, name, row);
        session.nodes.forget(node.id, 1); // one lookup of the two
        this.#open.created(request, this.#writerOf(node, live));
      });
    });
  }
}

/** What a flush has brought to its store. */
export function keepStored(live: LiveFile, answer: Answer): void {
  live.stored = 'stored' in answer ? answer.stored : undefined;
}

function within(range: BytesRange): BytesRange {
  if (range.offset + range.length > FILE_BYTES_MAX) throw new Refusal(errno.EFBIG);
  return range;
}

function keyOf(node: Node): { readonly directory: InodeId; readonly name: Name } {
  if (!node.parent) throw new Refusal(errno.EISDIR);
  return { directory: node.parent.inodeId, name: node.name };
}
