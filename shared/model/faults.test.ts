import { describe, expect, it } from 'vitest';
import { invariant, isFault, LeatError, toLeatError } from './faults.ts';

describe('faults', () => {
  it('are told by their kind, or as ours whatever their kind', () => {
    const error = new LeatError('notFound', 'gone');
    expect([isFault(error), isFault(error, 'denied', 'notFound'), isFault(error, 'denied')]).toEqual([
      true,
      true,
      false,
    ]);
    expect([isFault(new Error('gone')), isFault(undefined), isFault('notFound')]).toEqual([false, false, false]);
    expect(error.fault).toMatchObject({ errno: 'ENOENT', status: 404 });
  });

  it('of strangers are EIO, with what was said kept', () => {
    const cause = new Error('socket hang up');
    const error = toLeatError(cause);
    expect(error).toMatchObject({ kind: 'unavailable', cause, fault: { errno: 'EIO', retry: true } });
    expect(toLeatError(error)).toBe(error);
    expect(toLeatError('text').message).toContain('text');
  });

  it('are not bugs', () => {
    expect(() => invariant(false, 'two and two')).toThrow('invariant: two and two');
    expect(isFault(new Error('invariant: x'))).toBe(false);
  });
});
