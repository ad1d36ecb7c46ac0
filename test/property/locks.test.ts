import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { granted, type Lock, LAST_BYTE, locksInTheWay, type LockType, type LockWish } from '#shared/model/locks.ts';

/** Few bytes and few owners, so that everything meets. The last byte of the model is the last that there is. */
const BYTES = 12;
const OWNERS = ['a', 'b', 'c'];
const SPACES = ['bytes', 'whole'] as const;

const byteAt = (index: number): bigint => (index === BYTES - 1 ? LAST_BYTE : BigInt(index));

const wishes = fc
  .record({
    owner: fc.constantFrom(...OWNERS),
    session: fc.constantFrom('one', 'two'),
    space: fc.constantFrom(...SPACES),
    type: fc.constantFrom<LockType | 'none'>('shared', 'exclusive', 'none'),
    ends: fc.tuple(fc.nat(BYTES - 1), fc.nat(BYTES - 1)),
  })
  .map(({ ends: [a, b], ...wish }): LockWish & { readonly from: number; readonly to: number } => {
    const [from, to] = [Math.min(a, b), Math.max(a, b)];
    return { ...wish, agent: 'agent', pid: 1, start: byteAt(from), end: byteAt(to), from, to };
  });

/** What each owner has at each byte: the plainest way to say it. */
class Model {
  readonly #held = new Map<string, LockType>();

  static keyOf({ space, session, owner }: Pick<Lock, 'space' | 'session' | 'owner'>, byte: number): string {
    return `${space} ${byte} ${session} ${owner}`;
  }

  /** False, and nothing is changed, when another is in the way. */
  set(wish: LockWish & { readonly from: number; readonly to: number }): boolean {
    const bytes = Array.from({ length: wish.to - wish.from + 1 }, (_, i) => wish.from + i);
    if (bytes.some((byte) => this.#isTaken(wish, byte))) return false;
    for (const byte of bytes) {
      if (wish.type === 'none') this.#held.delete(Model.keyOf(wish, byte));
      else this.#held.set(Model.keyOf(wish, byte), wish.type);
    }
    return true;
  }

  #isTaken(wish: LockWish, byte: number): boolean {
    if (wish.type === 'none') return false;
    const own = Model.keyOf(wish, byte);
    return [...this.#held].some(
      ([key, type]) =>
        key.startsWith(`${wish.space} ${byte} `) && key !== own && (type === 'exclusive' || wish.type === 'exclusive'),
    );
  }

  all(): string[] {
    return [...this.#held].map(([key, type]) => `${key} ${type}`).toSorted();
  }
}

function bytesOf(locks: readonly Lock[]): string[] {
  return locks
    .flatMap((lock) =>
      Array.from({ length: BYTES }, (_, byte) => byte)
        .filter((byte) => lock.start <= byteAt(byte) && byteAt(byte) <= lock.end)
        .map((byte) => `${Model.keyOf(lock, byte)} ${lock.type}`),
    )
    .toSorted();
}

describe('locks of a file', () => {
  it('are what each owner has at each byte', () => {
    fc.assert(
      fc.property(fc.array(wishes, { maxLength: 30 }), (all) => {
        const model = new Model();
        let locks: Lock[] = [];
        const answers = all.map((wish) => {
          const isFree = locksInTheWay(locks, wish).length === 0;
          if (isFree) locks = granted(locks, wish);
          return [isFree, model.set(wish)];
        });
        expect(answers.filter(([ours, theirs]) => ours !== theirs)).toEqual([]);
        expect(bytesOf(locks)).toEqual(model.all());
      }),
      { numRuns: 500 },
    );
  });

  it('are as few as can be: those of one owner that touch are of two types', () => {
    fc.assert(
      fc.property(fc.array(wishes, { maxLength: 30 }), (all) => {
        let locks: Lock[] = [];
        for (const wish of all) if (locksInTheWay(locks, wish).length === 0) locks = granted(locks, wish);
        const touching = locks.filter((lock) =>
          locks.some(
            (next) =>
              next.start === lock.end + 1n && next.type === lock.type && Model.keyOf(next, 0) === Model.keyOf(lock, 0),
          ),
        );
        expect(touching).toEqual([]);
      }),
    );
  });
});

describe('a lock', () => {
  const lock = (type: LockWish['type'], start: bigint, end: bigint): LockWish => ({
    agent: 'agent',
    session: 'one',
    owner: 'a',
    pid: 7,
    space: 'bytes',
    type,
    start,
    end,
  });
  const shown = (locks: readonly Lock[]) => locks.map(({ type, start, end }) => `${type} ${start}-${end}`);
  const after = (...all: LockWish[]) => shown(all.reduce<Lock[]>(granted, []));

  it('is split by what is given back or changed in its middle, and is one again after', () => {
    expect(after(lock('exclusive', 0n, LAST_BYTE), lock('none', 10n, 19n))).toEqual([
      'exclusive 0-9',
      `exclusive 20-${LAST_BYTE}`,
    ]);
    const split = [lock('exclusive', 0n, 99n), lock('shared', 10n, 19n)];
    expect(after(...split)).toEqual(['exclusive 0-9', 'shared 10-19', 'exclusive 20-99']);
    expect(after(...split, lock('exclusive', 10n, 19n))).toEqual(['exclusive 0-99']);
  });

  it('takes in what it covers, and ends where its neighbour begins', () => {
    expect(after(lock('shared', 5n, 9n), lock('shared', 20n, 29n), lock('exclusive', 0n, 24n))).toEqual([
      'exclusive 0-24',
      'shared 25-29',
    ]);
    expect(after(lock('shared', 0n, 9n), lock('shared', 10n, 19n))).toEqual(['shared 0-19']);
    expect(after(lock('shared', 0n, 9n), lock('shared', 11n, 19n))).toEqual(['shared 0-9', 'shared 11-19']);
  });
});
