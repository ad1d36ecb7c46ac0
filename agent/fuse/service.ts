import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { invariant, LeatError, toLeatError } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import { SETGID } from '#shared/model/mode-bits.ts';
import type { Path } from '#shared/model/names.ts';
import { encodeRow } from '#shared/model/row-codec.ts';
import { SELF } from '#shared/namespace/access.ts';
import type { Actor, Found, Namespace } from '#shared/namespace/namespace.ts';
import type { ChangeFeed } from '#shared/ports/change-feed.ts';
import type { Capacity } from '../capacity.ts';
import type { CachedFile, DataCache, Fetch, Room } from '../cache/data-cache.ts';
import type { DirtyFiles } from '../dirty/dirty-files.ts';
import type { KeptIds } from './kept-ids.ts';
import type { LockQuestion, MountLocks } from './mount-locks.ts';
import type { Progress } from '../dirty/progress.ts';
import { OUT_HEADER, Reply, REQUEST_DATA_MAX } from './protocol.ts';
import type { Answer, Caller, Question, ToMain } from './questions.ts';
import { isAgain } from './requests.ts';
import { unlessDone } from './resent.ts';
import type { UnderWay } from './resume.ts';
import { refreshing, stale, stored } from './store-content.ts';
import { WritingService } from './writing-service.ts';

export interface ServiceDeps {
  readonly namespace: Namespace;
  readonly cache: DataCache;
  readonly dirty: DirtyFiles;
  readonly fetchFor: (found: Found) => Fetch;
  readonly flushed: () => Promise<void>;
  readonly capacity: (path: Path) => Promise<Capacity>;
  readonly log: (message: string) => void;
  /** Marks the commits of this mount. */
  readonly source: string;
  /** Of a mount that outlives the process: by these it knows what it was asked before. */
  readonly ids?: KeptIds | undefined;
}

const NEVER = new AbortController().signal;
const REPLIES_KEPT = 4;

interface OpenFile {
  readonly file: CachedFile;
  reads: number;
  isClosed: boolean;
}

type Asked = Extract<ToMain, { readonly id: number }>;
type Ask<Kind extends Question['ask']> = Question & { readonly ask: Kind };

/** The main thread's side of a mount: answers what the worker cannot, by the namespace and the cache. */
export class Service {
  readonly #deps: ServiceDeps;
  readonly #writing: WritingService;
  readonly #mountLocks: MountLocks | undefined;
  readonly #fd: number;
  readonly #open = new Map<number, OpenFile>();
  readonly #running = new Map<number, AbortController>();
  readonly #replies: Reply[] = [];
  #handles = 0;

  /** `locks`: where they are shared with other nodes. */
  constructor(fd: number, deps: ServiceDeps & { readonly feed: ChangeFeed }, locks: MountLocks | undefined) {
    this.#fd = fd;
    this.#deps = deps;
    this.#mountLocks = locks;
    this.#writing = new WritingService(deps);
  }

  /** The answer, or the errno to refuse with. */
  async answer(asked: Asked): Promise<{ readonly answer: Answer } | { readonly errno: number }> {
    const abort = new AbortController();
    this.#running.set(asked.id, abort);
    try {
      return { answer: await this.#decide(asked, abort.signal) };
    } catch (error) {
      if (abort.signal.aborted) return { errno: constants.errno.EINTR };
      return { errno: this.#errnoOf(error) };
    } finally {
      this.#running.delete(asked.id);
    }
  }

  interrupt(id: number): void {
    this.#running.get(id)?.abort(new LeatError('interrupted', 'the reader was interrupted'));
  }

  progressed(id: InodeId, progress: Progress): void {
    const file = this.#deps.dirty.get(id);
    if (file) this.#deps.dirty.progressed(file, progress);
  }

  release(id: InodeId): void {
    this.#writing.release(id);
  }

  /** Of an owner who has gone already. */
  async unlock(question: LockQuestion): Promise<void> {
    await this.#locks.act(SELF, question, NEVER).catch(() => undefined); // which is tried again, and told of, behind
  }

  get #locks(): MountLocks {
    invariant(this.#mountLocks, 'the kernel asks for locks, which it was told to keep by itself');
    return this.#mountLocks;
  }

  closeFile(handle: number): void {
    const open = this.#open.get(handle);
    if (!open) return;
    open.isClosed = true;
    this.#settle(handle, open);
  }

  #settle(handle: number, open: OpenFile): void {
    if (!open.isClosed || open.reads > 0) return;
    this.#open.delete(handle);
    open.file.close();
  }

  close(): void {
    this.#writing.close();
    for (const abort of this.#running.values()) abort.abort(new LeatError('interrupted', 'the mount is going away'));
    for (const { file } of this.#open.values()) file.close();
    this.#open.clear();
    this.#mountLocks?.close();
  }

  #errnoOf(error: unknown): number {
    if (!(error instanceof LeatError))
      this.#deps.log(`request failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    const { fault } = toLeatError(error);
    return constants.errno[fault.errno as keyof typeof constants.errno];
  }

  async #decide(
    { unique, caller, question }: Asked & { unique: readonly [number, number]; caller: Caller; question: Question },
    signal: AbortSignal,
  ): Promise<Answer> {
    const { namespace } = this.#deps;
    const { ids, source } = this.#deps;
    const again = ids && { request: { token: ids.tokenOf(unique), isRetry: isAgain(unique) } };
    const actor: Actor = { ...caller, groups: [], checked: true, source, ...again };
    switch (question.ask) {
      case 'stat':
        return rowOf((await namespace.stat(actor, question.path)).inode);
      case 'list': {
        const { entries } = await namespace.list(actor, question.path, {
          limit: question.limit,
          ...(question.after !== undefined && { after: question.after }),
        });
        return { entries: entries.map(({ name, inode }) => ({ name, row: encodeRow(inode) })) };
      }
      case 'mkdir':
        return rowOf(await namespace.mkdir(actor, question.path, { mode: question.mode, umask: question.umask }));
      case 'mknod': {
        const { path, kind, device, mode, umask } = question;
        if (kind === 'file') return rowOf(await namespace.create(actor, path, { mode, umask }));
        return rowOf(await namespace.mknod(actor, path, { kind, device, mode, umask }));
      }
      case 'link':
        return rowOf(await namespace.link(actor, question.path, question.to));
      case 'symlink':
        return rowOf(await namespace.symlink(actor, question.path, question.target));
      case 'remove':
        await this.#writing.keepContent(question.going);
        await unlessDone(actor, () => namespace.remove(actor, question.path, question.kind), {
          when: 'notFound',
          done: () => undefined,
        });
        return { done: true };
      case 'rename':
        await this.#writing.keepContent(question.going);
        return rowOf(await this.#rename(actor, question));
      case 'setAttributes':
        return rowOf(await this.#setAttributes(actor, question));
      case 'setXattr':
        return rowOf(await this.#setXattr(actor, question));
      case 'removeXattr':
        return rowOf(await this.#removeXattr(actor, question));
      case 'open':
        return this.#openFile(actor, question, signal);
      case 'read':
        return this.#read(question, unique, signal);
      case 'lock':
        return { inTheWay: await this.#locks.act(actor, question.lock, signal) };
      case 'readWritten': {
        const reader = this.#deps.dirty.reader(this.#writing.file(question.id));
        return this.#reply(question, unique, (room) => reader.read(room, question.offset, signal));
      }
      case 'syncRows':
        await this.#deps.flushed();
        return { done: true };
      case 'create':
      case 'write':
      case 'room':
      case 'fill':
      case 'rebase':
      case 'flush':
      case 'sync':
        return this.#writing.answer(actor, question);
      case 'statfs':
        return this.#deps.capacity(question.path);
    }
  }

  /** Setgid goes first: whatever comes between, nobody is left with a program of a group that is not his. */
  async #setXattr(actor: Actor, { path, name, value, mode, losesSetgid }: Ask<'setXattr'>): Promise<Inode> {
    const { namespace } = this.#deps;
    if (losesSetgid) {
      const { inode } = await namespace.stat(actor, path);
      if (inode.mode & SETGID) await namespace.setAttributes(actor, path, { mode: inode.mode & ~SETGID }, inode);
    }
    const isThere = mode === 'create' && actor.request?.isRetry === true;
    return namespace.setXattr(actor, path, name, value, isThere ? 'set' : mode);
  }

  #removeXattr(actor: Actor, { path, name }: Ask<'removeXattr'>): Promise<Inode> {
    const { namespace } = this.#deps;
    const done = async () => (await namespace.stat(actor, path)).inode;
    return unlessDone(actor, () => namespace.removeXattr(actor, path, name), { when: 'noAttribute', done });
  }

  #rename(actor: Actor, { path, to, noReplace }: Ask<'rename'>): Promise<Inode> {
    const { namespace } = this.#deps;
    const done = async () => (await namespace.stat(actor, to)).inode;
    return unlessDone(actor, () => namespace.rename(actor, path, to, { noReplace }), { when: 'notFound', done });
  }

  underWay(): Promise<readonly UnderWay[]> {
    return this.#writing.underWay();
  }

  #setAttributes(actor: Actor, { path, patch, id }: Ask<'setAttributes'>): Promise<Inode> {
    const act = () => this.#deps.namespace.setAttributes(actor, path, patch, { id });
    const file = this.#deps.dirty.get(id);
    return file && patch.mtime !== undefined ? file.settingTimes(act) : act();
  }

  /**
   * A small file is fetched now, so that its reads need nobody. When the store has another version than the row, the row is
   * brought in step and the kernel told to look the name up again (ESTALE makes it do so by itself).
   */
  async #openFile(actor: Actor, { path, key, isSmall }: Ask<'open'>, signal: AbortSignal): Promise<Answer> {
    const found = await this.#deps.namespace.stat(actor, path);
    const { inode } = found;
    // What this agent has written itself the worker opens on its own.
    if (inode.dirty) throw await stored(this.#deps, actor, found);
    if (inode.id !== key.id || inode.generation !== key.generation) throw stale(found);
    const file = this.#deps.cache.open(key, inode.size, refreshing(this.#deps, found));
    let isKept = false;
    try {
      if (isSmall && (await file.load(signal))) return { handle: undefined };
      isKept = true;
    } finally {
      if (!isKept) file.close();
    }
    const handle = ++this.#handles;
    this.#open.set(handle, { file, reads: 0, isClosed: false });
    return { handle };
  }

  async #read(asked: Ask<'read'>, unique: readonly [number, number], signal: AbortSignal): Promise<Answer> {
    const { handle, offset } = asked;
    const open = this.#open.get(handle);
    if (!open) throw new LeatError('changed', `handle ${handle}: is closed`);
    open.reads++;
    try {
      return await this.#reply(asked, unique, (room) => open.file.read(room, offset, signal));
    } finally {
      open.reads--;
      this.#settle(handle, open);
    }
  }

  /** By itself: the bytes go to the kernel without passing the worker. */
  async #reply(
    { size }: { readonly size: number },
    unique: readonly [number, number],
    read: (room: Room) => Promise<number>,
  ): Promise<Answer> {
    let reply: Reply | undefined;
    const taken = () => (reply ??= this.#replies.pop() ?? new Reply(REQUEST_DATA_MAX));
    try {
      const got = await read({ length: size, take: () => taken().bytes.subarray(OUT_HEADER, OUT_HEADER + size) });
      writeSync(this.#fd, taken().bytes, 0, taken().head(unique, got));
    } finally {
      if (reply && this.#replies.length < REPLIES_KEPT) this.#replies.push(reply);
    }
    return { done: true };
  }
}

const rowOf = (inode: Inode): Answer => ({ row: encodeRow(inode) });
