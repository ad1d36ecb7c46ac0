import type { InodeId } from '#shared/model/ids.ts';
import { LAST_BYTE } from '#shared/model/locks.ts';
import type { LocalWish, LockQuestion } from './mount-locks.ts';
import { OUT_HEADER } from './protocol.ts';
import type { Answer } from './questions.ts';
import { errno, Refusal, type Request, u32, u64 } from './requests.ts';
import type { Session } from './session.ts';

/** fcntl(2)'s numbers for the types of locks. */
const TYPES = ['shared', 'exclusive', 'none'] as const;
const LK_FLOCK = 1;
const RELEASE_FLOCK_UNLOCK = 2;
const LOCK_REPLY_BYTES = 24;

interface Locker {
  readonly file: InodeId;
  readonly owner: string;
  /** By which it locked last; undefined where another process served the mount then. */
  readonly handle: number | undefined;
}

/** What the kernel asks of locks, where they are shared with other nodes; otherwise it keeps them itself, and asks nothing. */
export class Locks {
  readonly #session: Session;
  /** Who may hold locks of fcntl: they end when their owner closes the file, whichever of its descriptors. */
  readonly #lockers = new Map<string, Locker>();
  /** Of a mount that goes on they are told of a while after it has begun to. */
  #areLockersKnown = false;

  constructor(session: Session) {
    this.#session = session;
  }

  set(request: Request, how: 'try' | 'wait'): void {
    const { file, wish } = this.#wished(request);
    if (wish.space === 'bytes') this.#hold({ file, owner: wish.owner, handle: u64(request, 40) });
    this.#ask(request, { file, wish, how }, (inTheWay) => {
      if (inTheWay) throw new Refusal(errno.EAGAIN);
      this.#session.send(request.unique, 0);
    });
  }

  test(request: Request): void {
    const question = { ...this.#wished(request), how: 'test' } as const;
    this.#ask(request, question, (inTheWay) => {
      const { start, end, type, pid } = inTheWay ?? { ...question.wish, type: 'none', pid: 0 };
      const { bytes } = this.#session.reply;
      bytes.writeBigUInt64LE(start, OUT_HEADER);
      bytes.writeBigUInt64LE(end, OUT_HEADER + 8);
      bytes.writeUInt32LE(TYPES.indexOf(type), OUT_HEADER + 16);
      bytes.writeUInt32LE(pid, OUT_HEADER + 20);
      this.#session.send(request.unique, LOCK_REPLY_BYTES);
    });
  }

  /** A process closes a file, and with it all locks of fcntl that it has on it: what is done before that is answered. */
  closing(request: Request): (reply: () => void) => void {
    const owner = ownerAt(request, 56);
    const file = this.#fileOf(request);
    const mayHold = file !== undefined && (this.#lockers.delete(keyOf({ file, owner })) || !this.#areLockersKnown);
    if (!mayHold) return (reply) => reply();
    return (reply) => this.#ask(request, { file, wish: nothingOf(owner, 'bytes'), how: 'try' }, reply);
  }

  /** The last that had this open file has closed it. Nobody waits for what is done then. */
  released(request: Request): void {
    const file = this.#fileOf(request);
    if (file === undefined) return;
    const handle = u64(request, 40);
    const isFlock = (u32(request, 52) & RELEASE_FLOCK_UNLOCK) !== 0;
    if (isFlock) this.#giveBack({ file, wish: nothingOf(ownerAt(request, 56), 'whole') });
    // What is left now belonged to the open file itself, as the locks of F_OFD_SETLK do: of those no close tells.
    for (const [key, locker] of this.#lockers) {
      if (locker.handle !== handle || locker.file !== file) continue;
      this.#lockers.delete(key);
      this.#giveBack({ file, wish: nothingOf(locker.owner, 'bytes') });
    }
  }

  /** The mount is new: nobody holds anything. */
  begun(): void {
    this.#areLockersKnown = true;
  }

  /** What the mount held when another process served it. */
  resumed(held: readonly { readonly file: InodeId; readonly owner: string }[]): void {
    for (const each of held) this.#hold({ ...each, handle: undefined });
    this.#areLockersKnown = true;
  }

  /** Undefined where there are no locks to give back, or nothing is known of the file: a close is never refused for that. */
  #fileOf(request: Request): InodeId | undefined {
    const { options, nodes } = this.#session;
    return options.sharesLocks ? nodes.get(request.node)?.inodeId : undefined;
  }

  #hold(locker: Locker): void {
    this.#lockers.set(keyOf(locker), locker);
  }

  #giveBack(unlock: Omit<LockQuestion, 'how'>): void {
    this.#session.post({ unlock: { ...unlock, how: 'try' } });
  }

  #ask(request: Request, lock: LockQuestion, then: (inTheWay: LockAnswer) => void): void {
    this.#session.ask(request, { ask: 'lock', lock }, (answer) => {
      if (!('inTheWay' in answer)) throw new Refusal(errno.EIO);
      then(answer.inTheWay);
    });
  }

  #wished(request: Request): { readonly file: InodeId; readonly wish: LocalWish } {
    const { bytes } = request;
    const type = TYPES[u32(request, 72)];
    const [start, end] = [bytes.readBigUInt64LE(56), bytes.readBigUInt64LE(64)];
    if (!type || start > end || end > LAST_BYTE) throw new Refusal(errno.EINVAL);
    const space = u32(request, 80) & LK_FLOCK ? 'whole' : 'bytes';
    const wish = { owner: ownerAt(request, 48), pid: u32(request, 76), space, type, start, end } as const;
    return { file: this.#session.node(request).inodeId, wish };
  }
}

type LockAnswer = Extract<Answer, { readonly inTheWay: unknown }>['inTheWay'];

const ownerAt = (request: Request, at: number): string => request.bytes.readBigUInt64LE(at).toString(16);
const keyOf = ({ file, owner }: Pick<Locker, 'file' | 'owner'>): string => `${owner} ${file}`;

function nothingOf(owner: string, space: LocalWish['space']): LocalWish {
  return { owner, pid: 0, space, type: 'none', start: 0n, end: LAST_BYTE };
}
