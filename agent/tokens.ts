import { randomBytes } from 'node:crypto';
import type { Clock } from '#shared/ports/clock.ts';

const RANDOM_BYTES = 6;
const TIME_DIGITS = 12;
const COUNT_DIGITS = 6;

/** Tokens that are unique and, as text, in the order of making, also across restarts while the clock does not go back. */
export function orderedTokens(clock: Clock): () => string {
  let last = 0;
  let count = 0;
  return () => {
    const now = Math.max(last, Math.floor(clock()));
    count = now === last ? count + 1 : 0;
    last = now;
    const ordered = now.toString(36).padStart(TIME_DIGITS, '0') + count.toString(36).padStart(COUNT_DIGITS, '0');
    return `${ordered}-${randomBytes(RANDOM_BYTES).toString('hex')}`;
  };
}
