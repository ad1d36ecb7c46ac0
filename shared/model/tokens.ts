import type { Clock } from '../ports/clock.ts';

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
    const random = crypto.getRandomValues(new Uint8Array(RANDOM_BYTES));
    return `${ordered}-${Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  };
}
