/** The last byte that a lock can name: what `l_len` 0 of fcntl(2) means. */
export const LAST_BYTE = 2n ** 63n - 1n;

export type LockType = 'shared' | 'exclusive';

/** Bytes from `start` to `end`, both included. */
export interface LockRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** `bytes`: of fcntl(2), on ranges; `whole`: of flock(2), on files. The two know nothing of each other. */
export type LockSpace = 'bytes' | 'whole';

/** Who holds a lock, or wants one: all that has the same owner is one holder, and never in its own way. */
export interface LockOwner {
  /** The agent on whose node the owner is, and the session of its mount: with either go its locks. */
  readonly agent: string;
  readonly session: string;
  /** What the kernel calls it: one process, or one open file. */
  readonly owner: string;
}

export interface Lock extends LockOwner, LockRange {
  readonly space: LockSpace;
  readonly type: LockType;
  /** On its own node. */
  readonly pid: number;
}

/** A lock that is wanted; `none` gives the range back. */
export interface LockWish extends Omit<Lock, 'type'> {
  readonly type: LockType | 'none';
}

function isSameOwner(one: LockOwner, other: LockOwner): boolean {
  return one.owner === other.owner && one.session === other.session && one.agent === other.agent;
}

/** The locks of others that a wish cannot be granted beside. */
export function locksInTheWay(locks: readonly Lock[], wish: LockWish): Lock[] {
  if (wish.type === 'none') return [];
  return locks.filter(
    (lock) =>
      lock.space === wish.space &&
      overlap(lock, wish) &&
      (lock.type === 'exclusive' || wish.type === 'exclusive') &&
      !isSameOwner(lock, wish),
  );
}

/**
 * All locks of a file once a wish that nothing is in the way of has been granted: over its range it replaces what its owner had
 * there, whatever is left of that on either side stays, and what touches and is of one type becomes one.
 */
export function granted(locks: readonly Lock[], wish: LockWish): Lock[] {
  const isOwn = (lock: Lock) => lock.space === wish.space && isSameOwner(lock, wish);
  const others = locks.filter((lock) => !isOwn(lock));
  const own = locks.filter(isOwn).flatMap((lock) => without(lock, wish));
  const { type } = wish;
  const wanted: Lock[] = type === 'none' ? [] : [{ ...wish, type }];
  return [...others, ...merged([...own, ...wanted])];
}

const overlap = (one: LockRange, other: LockRange): boolean => one.start <= other.end && other.start <= one.end;

function without(lock: Lock, { start, end }: LockRange): Lock[] {
  if (!overlap(lock, { start, end })) return [lock];
  return [
    ...(lock.start < start ? [{ ...lock, end: start - 1n }] : []),
    ...(lock.end > end ? [{ ...lock, start: end + 1n }] : []),
  ];
}

/** Of one owner, none over another. */
function merged(locks: readonly Lock[]): Lock[] {
  const result: Lock[] = [];
  for (const lock of locks.toSorted((a, b) => (a.start < b.start ? -1 : 1))) {
    const last = result.at(-1);
    if (last && last.type === lock.type && last.end + 1n === lock.start)
      result[result.length - 1] = { ...last, end: lock.end };
    else result.push(lock);
  }
  return result;
}
