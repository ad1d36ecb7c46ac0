import { setTimeout as sleepFor } from 'node:timers/promises';
import { isFault, LeatError, toLeatError } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { Lock, LockWish } from '#shared/model/locks.ts';
import { SELF } from '#shared/namespace/access.ts';
import type { Actor, HeldLock, LockSession, Namespace } from '#shared/namespace/namespace.ts';

/** How often a waiter asks for what another agent has locked: soon at first, and then every so often. */
const POLL_MS = 50;
const POLL_MS_MAX = 2000;
/** What has been given back here, and could not be told, is tried again. */
const RETRY_MS = 2000;
/** A chain of waiters that is longer is none that closes. */
const WAITERS_MAX = 10_000;

/** A lock that is wanted on this mount. */
export type LocalWish = Omit<LockWish, 'agent' | 'session'>;

/** `try`: answers what is in the way. `wait`: until nothing is. `test`: only looks. */
type LockHow = 'try' | 'wait' | 'test';

export interface LockQuestion {
  readonly file: InodeId;
  readonly wish: LocalWish;
  readonly how: LockHow;
}

export interface MountLocksDeps {
  readonly namespace: Pick<Namespace, 'lock' | 'beginLocks'>;
  readonly session: LockSession;
  readonly log: (message: string) => void;
}

interface Waiter {
  readonly file: InodeId;
  readonly wish: LocalWish;
  inTheWay: Lock | undefined;
  wake: () => void;
}

/** The locks of a mount whose rows are shared with others. What is asked of one file is asked in order. */
export class MountLocks {
  readonly #deps: MountLocksDeps;
  /** What the mount holds, as it was before the process that serves it; resolves when locks can be taken. */
  readonly begun: Promise<readonly HeldLock[]>;
  readonly #turns = new Map<InodeId, Promise<unknown>>();
  readonly #waiters = new Set<Waiter>();
  readonly #closed = new AbortController();
  #hasBegun = false;
  /** So often locks have been given back or made less. */
  #releases = 0;

  constructor(deps: MountLocksDeps) {
    this.#deps = deps;
    this.begun = this.#begin();
    // Whoever wants a lock is told of the failure, and begins again.
    this.begun.catch(() => undefined);
  }

  /** What is in the way, or undefined when nothing is. */
  async act(actor: Actor, { file, wish, how }: LockQuestion, signal: AbortSignal): Promise<Lock | undefined> {
    if (wish.type === 'none' && how !== 'test') return this.#giveBack(actor, file, wish);
    if (how === 'wait') return this.#wait(actor, { file, wish, inTheWay: undefined, wake: () => {} }, signal);
    const inTheWay = await this.#inTurn(file, () => this.#ask(actor, file, wish, how));
    // The number of a process of another node would be taken for one of this node.
    return inTheWay && { ...inTheWay, pid: inTheWay.agent === this.#deps.session.agent ? inTheWay.pid : 0 };
  }

  close(): void {
    this.#closed.abort();
  }

  async #wait(actor: Actor, waiter: Waiter, signal: AbortSignal): Promise<undefined> {
    const { file, wish } = waiter;
    this.#waiters.add(waiter);
    try {
      for (let ms = POLL_MS; ; ms = Math.min(2 * ms, POLL_MS_MAX)) {
        signal.throwIfAborted();
        const releases = this.#releases;
        // One that is granted is kept, though the waiter may have been interrupted meanwhile: it came first.
        waiter.inTheWay = await this.#inTurn(file, () => this.#ask(actor, file, wish, 'try'));
        if (!waiter.inTheWay) return undefined;
        if (this.#closesACircle(wish, waiter.inTheWay))
          throw new LeatError('deadlock', 'who has the lock waits for one of who wants it; give that one up first');
        if (releases === this.#releases) await this.#release(waiter, ms * (0.5 + Math.random() / 2), signal);
      }
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  /** Sleeps until a lock of the file is given back here, or a while has passed: what others give back nobody tells. */
  async #release(waiter: Waiter, ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    waiter.wake = () => woken.abort();
    await sleepFor(ms, undefined, { signal: AbortSignal.any([signal, woken.signal]), ref: false }).catch(
      () => undefined,
    );
  }

  /** Only among owners of this mount, and of fcntl's locks, as the kernel does: what waits elsewhere is not known here. */
  #closesACircle(wish: LocalWish, inTheWay: Lock): boolean {
    const { agent, session } = this.#deps.session;
    if (wish.space === 'whole') return false;
    const waiting = new Map([...this.#waiters].map(({ wish: { owner, space }, inTheWay: by }) => [space + owner, by]));
    let at: Lock | undefined = inTheWay;
    for (let i = 0; at && i < WAITERS_MAX; i++) {
      if (at.agent !== agent || at.session !== session) return false;
      if (at.owner === wish.owner) return true;
      at = waiting.get(at.space + at.owner);
    }
    return false;
  }

  /**
   * Whoever gives a lock back may be gone by the time that this fails, and nobody would try again: that goes on behind, before
   * anything else that is asked of the file.
   */
  #giveBack(actor: Actor, file: InodeId, wish: LocalWish): Promise<undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    void this.#inTurn(file, async () => {
      for (let i = 0; !this.#closed.signal.aborted; i++) {
        try {
          await this.#ask(actor, file, wish, 'try');
          return resolve(undefined);
        } catch (error) {
          reject(error as Error);
          if (i === 0) this.#deps.log(`a lock could not be given back yet: ${toLeatError(error).message}`);
          await sleepFor(RETRY_MS, undefined, { signal: this.#closed.signal, ref: false }).catch(() => undefined);
        }
      }
      resolve(undefined);
    });
    return promise;
  }

  async #ask(actor: Actor, file: InodeId, wish: LocalWish, how: 'try' | 'test'): Promise<Lock | undefined> {
    const { namespace, session } = this.#deps;
    const { agent, session: name } = session;
    const ask = () => namespace.lock(actor, file, { ...wish, agent, session: name }, { isTest: how === 'test' });
    if (!this.#hasBegun) await this.begun.catch((error: unknown) => this.#again(error));
    const inTheWay = await ask()
      .catch(async (error: unknown) => {
        if (!isFault(error, 'changed')) throw error;
        await this.#again(error);
        return ask();
      })
      .catch((error: unknown) => {
        throw isFault(error, 'unavailable', 'changed') ? noLocks(error) : error;
      });
    if (how === 'try' && !inTheWay && wish.type !== 'exclusive') this.#released(file);
    return inTheWay;
  }

  /** This agent has been taken for gone, or could not begin when it started: its locks are lost, and new ones can be taken. */
  async #again(cause: unknown): Promise<void> {
    await this.#begin().catch(() => {
      throw noLocks(cause);
    });
  }

  async #begin(): Promise<readonly HeldLock[]> {
    const { namespace, session } = this.#deps;
    const held = await namespace.beginLocks(SELF, { ...session, isNew: session.isNew && !this.#hasBegun });
    this.#hasBegun = true;
    return held;
  }

  #released(file: InodeId): void {
    this.#releases++;
    for (const waiter of this.#waiters) {
      if (waiter.file !== file) continue;
      waiter.inTheWay = undefined;
      waiter.wake();
    }
  }

  #inTurn<Result>(file: InodeId, act: () => Promise<Result>): Promise<Result> {
    const turn = (this.#turns.get(file) ?? Promise.resolve()).then(act, act);
    this.#turns.set(file, turn);
    const end = () => void (this.#turns.get(file) === turn && this.#turns.delete(file));
    turn.then(end, end);
    return turn;
  }
}

/** As programs know it of locks over a network that fails. */
function noLocks(cause: unknown): LeatError {
  return new LeatError('noLocks', `locks cannot be taken or given back now: ${toLeatError(cause).message}`, { cause });
}
