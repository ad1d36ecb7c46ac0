import { ftruncateSync, writeSync } from 'node:fs';
import type { InodeId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { attributesAt } from '#shared/model/row-codec.ts';
import { allocate, seek } from '../dirty/local-calls.ts';
import type { LiveFile } from './live-files.ts';
import { writerOf } from './live-opens.ts';
import type { Node } from './nodes.ts';
import type { OpenFile, OpenFiles } from './open-files.ts';
import { OUT_HEADER } from './protocol.ts';
import type { Answer } from './questions.ts';
import { errno, locally, must, nameAt, Refusal, refuse, type Request, u32, u64 } from './requests.ts';
import type { Session } from './session.ts';

const O_ACCMODE = 3;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const CREATE_NAME = 56;
const WRITE_DATA = 80;
/** 5 TiB, the largest object of S3. */
const FILE_BYTES_MAX = 5 * 2 ** 40;

export const isWriting = (flags: number): boolean => (flags & O_ACCMODE) !== 0 || (flags & O_TRUNC) !== 0;

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
    session.ask(request, question, (answer) => this.#created(request, { parent, name, row: rowIn(answer) }), refused);
  }

  open(request: Request): void {
    const node = this.#session.node(request);
    const isTruncated = (u32(request, 40) & O_TRUNC) !== 0;
    this.begin(request, { node, isTruncated }, (live) => {
      this.#open.opened(request, writerOf(this.#open, node, live));
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
      then(session.live.begin(node));
    });
  }

  end(node: Node): void {
    const live = this.#session.live.get(node);
    if (live) live.writers--;
    this.#session.post({ release: node.inodeId });
  }

  write(request: Request): void {
    const live = this.#liveOf(this.#open.get(request));
    const offset = u64(request, 48);
    const size = u32(request, 56);
    if (offset + size > FILE_BYTES_MAX) throw new Refusal(errno.EFBIG);
    const written = locally(() => writeSync(live.fd, request.bytes, WRITE_DATA, size, offset));
    this.#session.reply.u32(OUT_HEADER, written);
    this.#session.reply.u32(OUT_HEADER + 4, 0);
    this.#session.send(request.unique, 8);
  }

  truncate(live: LiveFile, size: number): void {
    if (size > FILE_BYTES_MAX) throw new Refusal(errno.EFBIG);
    locally(() => ftruncateSync(live.fd, size));
  }

  allocate(request: Request): void {
    const live = this.#liveOf(this.#open.get(request));
    const offset = u64(request, 48);
    const length = u64(request, 56);
    if (offset + length > FILE_BYTES_MAX) throw new Refusal(errno.EFBIG);
    locally(() => allocate(live.fd, u32(request, 64), offset, length));
    this.#session.send(request.unique, 0);
  }

  /** Where data and holes are. Of what is not written here the kernel says that it is all data. */
  seek(request: Request): void {
    const live = this.#session.live.get(this.#open.get(request).node) ?? refuse(errno.ENOSYS);
    const offset = locally(() => seek(live.fd, u64(request, 48), u32(request, 56)));
    this.#session.reply.u64(OUT_HEADER, offset);
    this.#session.send(request.unique, 8);
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

  #settle(request: Request, ask: 'flush' | 'sync', before: (reply: () => void) => void): void {
    const session = this.#session;
    const done = () => before(() => session.send(request.unique, 0));
    const { node, isWriter } = this.#open.get(request);
    const live = session.live.get(node);
    if (!live || live.isSettled || (ask === 'flush' && !isWriter)) return done();
    session.ask(request, { ask, id: node.inodeId }, done, (code) => before(() => session.error(request.unique, code)));
  }

  #liveOf({ node, isWriter }: OpenFile): LiveFile {
    if (!isWriter) throw new Refusal(errno.EBADF);
    return this.#session.live.get(node) ?? refuse(errno.EBADF);
  }

  #created(request: Request, made: { readonly parent: Node; readonly name: Name; readonly row: Uint8Array }): void {
    const session = this.#session;
    session.changes.changed(made.parent.inodeId);
    const node = session.enter(made.parent, made.name, made.row);
    const live = session.live.begin(node);
    node.attributes ??= must(attributesAt(made.row));
    this.#open.created(request, writerOf(this.#open, node, live));
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
        this.#open.created(request, writerOf(this.#open, node, live));
      });
    });
  }
}

function keyOf(node: Node): { readonly directory: InodeId; readonly name: Name } {
  if (!node.parent) throw new Refusal(errno.EISDIR);
  return { directory: node.parent.inodeId, name: node.name };
}

function rowIn(answer: Answer): Uint8Array {
  return 'row' in answer ? answer.row : refuse(errno.EIO);
}
