import { LeatError } from '../model/faults.ts';
import { type Operation, OPERATION_NAMES } from './requests.ts';

/** Operations a second, over all agents and averaged over the month, that reach the table: what a hot tier answers is free. */
export type Mix = Readonly<Partial<Record<Operation, number>>>;

export const MIXES = {
  /** Reads in their millions, out of hot tiers for the most part; checkpoints are written. */
  training: { stat: 500, list: 2, create: 5, unlink: 1, 'rename-file': 1 },
  /** Files are written under one name, renamed when they are whole, and thrown away in trees. */
  etl: {
    stat: 300,
    list: 10,
    create: 100,
    'rename-file': 50,
    mkdir: 2,
    'remove-tree': 0.1,
    'reclaim-100': 0.8,
    chmod: 5,
  },
  /** Directories of people: some build, most are idle. */
  home: { stat: 50, list: 5, create: 2, unlink: 1, chmod: 1, 'rename-file': 1, mkdir: 0.1, rmdir: 0.05 },
} as const satisfies Record<string, Mix>;

export type MixName = keyof typeof MIXES;

const SUFFIXES: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9, B: 1e9, T: 1e12 };
export const FILES_MAX = 1e12;
const RATE_MAX = 1e7;

/** `1500`, `1.5k`, `100M`, `1B`. */
export function parseCount(text: string, max: number): number {
  const [, digits, suffix = ''] = /^(\d+(?:\.\d+)?)([kMGBT]?)$/.exec(text) ?? [];
  const value = Number(digits) * (SUFFIXES[suffix] ?? Number.NaN);
  if (value <= max) return value;
  const shown = text.slice(0, 64);
  if (value > max) throw new LeatError('invalid', `'${shown}' is more than ${max}`);
  throw new LeatError('invalid', `'${shown}' is no number; write as 5000, 1.5k, 100M or 1B`);
}

export function mixOf(name: string): Mix {
  if (Object.hasOwn(MIXES, name)) return MIXES[name as MixName];
  throw new LeatError('invalid', `'${name.slice(0, 64)}' is no mix; there are ${Object.keys(MIXES).join(', ')}`);
}

/** `stat=100/s,create=10/s`; the `/s` may be left out. */
export function parseOperations(text: string): Mix {
  const mix: Partial<Record<Operation, number>> = {};
  for (const part of text.split(',')) {
    const [, name, rate] = /^([a-z0-9-]+)=([^/]+)(?:\/s)?$/.exec(part) ?? [];
    if (name === undefined || rate === undefined) {
      throw new LeatError('invalid', `'${part.slice(0, 64)}': write operations as stat=100/s,create=10/s`);
    }
    if (!isOperation(name)) {
      throw new LeatError('invalid', `'${name.slice(0, 64)}' is no operation; there are ${OPERATION_NAMES.join(', ')}`);
    }
    if (mix[name] !== undefined) throw new LeatError('invalid', `'${name}' is there twice`);
    mix[name] = parseCount(rate, RATE_MAX);
  }
  return mix;
}

const isOperation = (name: string): name is Operation => OPERATION_NAMES.some((each) => each === name);
