import { LeatError } from '../model/faults.ts';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  PB: 1e15,
};
const DURATIONS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `16GiB`, `500MB`, `4096`: bytes. Units are exact: KiB is 1024 bytes, KB 1000. */
export function parseBytes(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim()) ?? [];
  const factor = UNITS[unit ?? '-'];
  const bytes = Math.round(Number(number) * (factor ?? Number.NaN));
  if (!Number.isSafeInteger(bytes)) {
    throw new LeatError('invalid', `'${text}' is no number of bytes; write for example 4096, 500MB or 16GiB`);
  }
  return bytes;
}

/** `250ms`, `30s`, `5m`, `1h`, `2d`: milliseconds. */
export function parseDuration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim()) ?? [];
  const milliseconds = text.trim() === '0' ? 0 : Math.round(Number(number) * (DURATIONS[unit ?? ''] ?? Number.NaN));
  if (!Number.isSafeInteger(milliseconds)) {
    throw new LeatError('invalid', `'${text}' is no duration; write for example 250ms, 30s, 5m, 1h or 2d`);
  }
  return milliseconds;
}

/** As a mount's sync interval: a duration, `0` (every access asks the store) or `-1` (never after the first time). */
export function parseInterval(text: string): number {
  return text.trim() === '-1' ? -1 : parseDuration(text);
}

export function parseChoice(choices: readonly string[]): (text: string) => string {
  return (text) => {
    if (choices.includes(text)) return text;
    throw new LeatError('invalid', `'${text}' is none of ${choices.join(', ')}`);
  };
}

export function parseNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new LeatError('invalid', `'${text}' is no whole number`);
}
