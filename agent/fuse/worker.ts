import { setImmediate as nextTurn, setTimeout as sleepFor } from 'node:timers/promises';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { openRows, type Rows } from '../embedded/lmdb-rows.ts';
import { openHotRows } from '../joined/hot-rows.ts';
import { trimMemory } from '../memory.ts';
import { Counters } from './counters.ts';
import { Directories } from './directories.ts';
import { Files } from './files.ts';
import { noticeOf } from './invalidation.ts';
import { Locks } from './locks.ts';
import * as metadata from './metadata.ts';
import * as xattrs from './xattrs.ts';
import { setAttributes } from './set-attributes.ts';
import * as setId from './set-id.ts';
import { Init, Init2, Op, OUT_HEADER, REQUEST_DATA_MAX } from './protocol.ts';
import type { SyncIntervals, ToWorker } from './questions.ts';
import { errno, isAgain, isWriting, type Request, type Unique, u32 } from './requests.ts';
import { resume, type UnderWay } from './resume.ts';
import { OpenFiles } from './open-files.ts';
import { Session } from './session.ts';
import type { SessionOptions } from './session-options.ts';
import { readNow, twoReadable } from './syscalls.ts';
import { Writing } from './writing.ts';

export interface WorkerData {
  readonly session: SessionOptions;
  /** `isHot`: some of the rows, each for a while; otherwise all. */
  readonly rows: { readonly file: string; readonly isHot: boolean } | undefined;
  readonly wakeFd: number;
  /** The memory of `Counters`. */
  readonly counters: SharedArrayBuffer;
  readonly mounts: SyncIntervals;
  /** Of a process before, whose session this one goes on with: what it has left under way. */
  readonly resumed: readonly UnderWay[] | undefined;
}

const REQUEST_BYTES_MAX = REQUEST_DATA_MAX + 8192;
/** Some 30 µs: who has just been answered asks again that soon, and to be woken costs as much. */
const LOOKS_BEFORE_SLEEP = 50;
/** LMDB's binding sets a timer with each snapshot, which is gone only once timers have had their turn. */
const SNAPSHOTS_BEFORE_TURN = 1000;
/** So many leave enough behind in the heap that it is worth a collection, once there is time. */
const REQUESTS_BEFORE_TRIM = 10_000;
/** So long the worker keeps its snapshot of the rows when nothing is asked. */
const LINGER_MS = 1000;
const RENAME_NAMES = 48;
const RENAME2_NAMES = 56;

/** So long what was asked of the main thread is waited for, before another process takes the session over. */
const HAND_OVER_MS = 2000;
const LEAVING_POLL_MS = 5;

/** The thread that speaks with the kernel: it sleeps until there is a request, or a message of the main thread. */
async function main(data: WorkerData): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error('invariant: the FUSE worker runs as a worker thread');
  const { fd } = data.session;
  const counters = new Counters(data.counters);
  const rows = opened(data);
  const session: Session = new Session(data.session, rows, {
    counters,
    post: (message) => port.postMessage(message),
    onGone: (node) => files.drop(node),
    isHeld: (node) => open.isCached(node),
    onBegun: ({ node, localInode }) => open.backings.liesIn(node, localInode),
    onSettled: (node) => {
      files.changed(node);
      open.settled(node);
    },
  });
  const open = new OpenFiles(session);
  const files = new Files(session, open);
  const directories = new Directories(session);
  session.syncIntervals = data.mounts;
  const locks = new Locks(session);
  const handle = handlers(session, { files, directories, locks, writing: new Writing(session, open) });
  if (data.resumed) resume(session, { open, directories }, data.resumed);
  const buffer = Buffer.allocUnsafeSlow(REQUEST_BYTES_MAX);
  const sleep = sleeper(data, counters);

  for (let messages = -1, requests = 0, handOverBy = Infinity; ;) {
    if (messages !== counters.messages) {
      messages = counters.messages;
      for (let message = receiveMessageOnPort(port); message; message = receiveMessageOnPort(port)) {
        if (message.message === 'stop') return rows?.close();
        if (message.message === 'handOver') handOverBy = Math.min(handOverBy, performance.now() + HAND_OVER_MS);
        else receive(session, { files, locks }, message.message as ToWorker);
      }
    }
    const isLeaving = handOverBy < Infinity;
    // What is not answered then, the kernel asks the successor again.
    if (isLeaving && (session.isIdle || performance.now() > handOverBy)) return rows?.close();
    if (isLeaving) {
      await sleepFor(LEAVING_POLL_MS);
      continue;
    }
    const length = nextRequest(fd, buffer, () => counters.messages === messages);
    if (length === undefined) return rows?.close();
    if (length > 0) {
      requests++;
      session.refresh();
      handle(parse(buffer, length));
      if (session.snapshots >= SNAPSHOTS_BEFORE_TURN) {
        session.snapshots = 0;
        await nextTurn();
      }
    } else if (!sleep(messages)) {
      // Nothing for a while: the rows are let go of, so that LMDB can reuse what their snapshot holds, and timers have a turn.
      rows?.refresh();
      files.rest();
      if (requests > REQUESTS_BEFORE_TRIM) trimMemory();
      requests = 0;
      await nextTurn();
    }
  }
}

function opened({ rows, session: { leaseMs } }: WorkerData): Rows | undefined {
  // The clock by which the main thread stamps what it keeps: the same in all threads.
  const clock = () => performance.timeOrigin + performance.now();
  return rows && (rows.isHot ? openHotRows(rows.file, { leaseMs, clock }) : openRows(rows.file));
}

/** The length of a request; 0 when there is none now, or something else to do; undefined once unmounted. */
function nextRequest(fd: number, buffer: Buffer, mayLookAgain: () => boolean): number | undefined {
  try {
    let length = readNow(fd, buffer);
    for (let looks = 1; length === 0 && looks < LOOKS_BEFORE_SLEEP && mayLookAgain(); looks++) {
      length = readNow(fd, buffer);
    }
    return length;
  } catch {
    return undefined;
  }
}

/**
 * Sleeps until there is something to do; false when there was nothing for `LINGER_MS`, after which it sleeps without end. The
 * main thread is told of the sleep first, so that its messages come with a wake-up call.
 */
function sleeper({ session: { fd }, wakeFd }: WorkerData, counters: Counters): (messages: number) => boolean {
  const poll = twoReadable(fd, wakeFd);
  const wake = Buffer.alloc(8);
  let isIdle = false;
  return (messages) => {
    counters.isAsleep = true;
    const readable = counters.messages === messages ? poll(isIdle ? -1 : LINGER_MS) : 'neither';
    counters.isAsleep = false;
    if (readable === 'second') readNow(wakeFd, wake);
    isIdle = readable === 'neither' && counters.messages === messages;
    return !isIdle;
  };
}

interface Parts {
  readonly files: Files;
  readonly directories: Directories;
  readonly locks: Locks;
  readonly writing: Writing;
}

function receive(session: Session, { files, locks }: Pick<Parts, 'files' | 'locks'>, message: ToWorker): void {
  if ('answer' in message) session.answered(message.id, message.answer);
  else if ('errno' in message) session.refused(message.id, message.errno);
  else if ('held' in message) locks.resumed(message.held);
  else if ('mounts' in message) session.syncIntervals = message.mounts;
  else if ('changed' in message) {
    for (const { after, hasSetTime } of message.changed)
      if (after && hasSetTime) session.changes.timesSet(after.inodeId);
    const notices = message.changed.flatMap((row) => noticeOf(session.nodes, row) ?? []);
    for (const row of message.changed) session.otherNames.changed(row);
    if (notices.length > 0) session.post({ notices });
  } else if ('settled' in message) session.live.settled(message.settled);
  else {
    const { id, generation } = message.evicted;
    const node = session.nodes.find({ inodeId: id, generation });
    if (node) files.drop(node);
  }
}

const uniqueAt = (bytes: Buffer, at: number): Unique => [bytes.readInt32LE(at), bytes.readInt32LE(at + 4)];

function parse(bytes: Buffer, length: number): Request {
  return {
    opcode: bytes.readUInt32LE(4),
    unique: uniqueAt(bytes, 8),
    node: bytes.readUInt32LE(16) + bytes.readUInt32LE(20) * 2 ** 32,
    caller: { uid: bytes.readUInt32LE(24), gid: bytes.readUInt32LE(28) },
    bytes,
    length,
  };
}

function handlers(session: Session, { files, directories, locks, writing }: Parts): (request: Request) => void {
  const empty = (request: Request) => session.send(request.unique, 0);
  const refuse = (code: number) => (request: Request) => session.error(request.unique, code);
  const table = new Map<number, (request: Request) => void>([
    [Op.LOOKUP, (request) => metadata.lookup(session, request)],
    [Op.GETATTR, (request) => metadata.getAttributes(session, request)],
    [Op.SETATTR, (request) => setAttributes(session, writing, request)],
    [Op.READLINK, (request) => metadata.readLink(session, request)],
    [Op.SYMLINK, (request) => metadata.makeSymlink(session, request)],
    [Op.MKNOD, (request) => metadata.makeNode(session, request)],
    [Op.LINK, (request) => metadata.makeLink(session, request)],
    [Op.MKDIR, (request) => metadata.makeDirectory(session, request)],
    [Op.UNLINK, (request) => metadata.remove(session, request, 'file')],
    [Op.RMDIR, (request) => metadata.remove(session, request, 'directory')],
    [Op.RENAME, (request) => metadata.rename(session, request, RENAME_NAMES)],
    [Op.RENAME2, (request) => metadata.rename(session, request, RENAME2_NAMES)],
    [Op.GETXATTR, (request) => xattrs.getXattr(session, request)],
    [Op.LISTXATTR, (request) => xattrs.listXattrs(session, request)],
    [Op.SETXATTR, (request) => xattrs.setXattr(session, request)],
    [Op.REMOVEXATTR, (request) => xattrs.removeXattr(session, request)],
    [Op.STATFS, (request) => metadata.statfs(session, request)],
    [Op.FORGET, (request) => metadata.forget(session, request)],
    [Op.BATCH_FORGET, (request) => metadata.forgetMany(session, request)],
    [Op.OPEN, setId.opening(session, (request) => (isWriting(u32(request, 40)) ? writing : files).open(request))],
    [Op.CREATE, (request) => writing.create(request)],
    [Op.WRITE, setId.writing(session, (request) => writing.write(request))],
    [Op.FALLOCATE, setId.allocating(session, (request) => writing.allocate(request))],
    [Op.LSEEK, (request) => writing.seek(request)],
    [Op.FLUSH, (request) => writing.flush(request, locks.closing(request))],
    [Op.FSYNC, (request) => writing.sync(request)],
    [Op.READ, (request) => files.read(request)],
    [Op.RELEASE, (request) => (locks.released(request), writing.release(request))],
    [Op.GETLK, (request) => locks.test(request)],
    [Op.SETLK, (request) => locks.set(request, 'try')],
    [Op.SETLKW, (request) => locks.set(request, 'wait')],
    [Op.OPENDIR, (request) => directories.open(request)],
    [Op.READDIR, (request) => directories.read(request, false)],
    [Op.READDIRPLUS, (request) => directories.read(request, true)],
    [Op.RELEASEDIR, (request) => directories.release(request)],
    [Op.FSYNCDIR, (request) => session.ask(request, { ask: 'syncRows' }, () => empty(request))],
    [Op.DESTROY, empty],
    [Op.INIT, (request) => (locks.begun(), init(session, request))],
    [Op.INTERRUPT, (request) => session.interrupted(uniqueAt(request.bytes, 40))],
  ]);
  const unknown = refuse(errno.ENOSYS); // the kernel remembers it, and does without
  return (request) => {
    // What it did when it was sent first may have been half of its work.
    if (isAgain(request.unique)) writing.undo(request.unique);
    const handler = table.get(request.opcode) ?? unknown;
    session.guarded(request.unique, () => handler(request));
  };
}

function init(session: Session, request: Request): void {
  const { wantsPassthrough, isTraining, hasAcls, sharesLocks } = session.options;
  const minor = u32(request, 44);
  const readahead = Math.max(u32(request, 48), REQUEST_DATA_MAX);
  const offered = u32(request, 52);
  const offered2 = offered & Init.INIT_EXT ? u32(request, 56) : 0;
  const wanted =
    Init.ASYNC_READ |
    Init.ATOMIC_O_TRUNC |
    Init.BIG_WRITES |
    Init.DONT_MASK |
    Init.DO_READDIRPLUS |
    Init.READDIRPLUS_AUTO |
    Init.ASYNC_DIO |
    Init.PARALLEL_DIROPS |
    Init.MAX_PAGES |
    Init.CACHE_SYMLINKS |
    Init.HANDLE_KILLPRIV_V2 |
    Init.SETXATTR_EXT |
    Init.INIT_EXT |
    (hasAcls ? Init.POSIX_ACL : 0) |
    (sharesLocks ? Init.POSIX_LOCKS | Init.FLOCK_LOCKS : 0) |
    (isTraining ? Init.NO_OPEN_SUPPORT : 0);
  const wanted2 = Init2.HAS_RESEND | (wantsPassthrough && !isTraining ? Init2.PASSTHROUGH : 0);
  session.reply.init(OUT_HEADER, { flags: wanted & offered, flags2: wanted2 & offered2, readahead, minor });
  session.send(request.unique, 64);
}

await main(workerData as WorkerData);
