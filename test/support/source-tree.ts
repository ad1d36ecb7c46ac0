import { createHash, randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MIB = 1 << 20;

/** Sizes around every border that the system has: empty, tiny, a page less one, a page, a page and one, several pages. */
const SIZES = [0, 1, 100, 4096, 5000, 20_000, 102_400, 3, 700, 65_537];
const BORDER_SIZES = [MIB - 1, MIB, MIB + 1, 5 * MIB + 3, 8 * MIB, 9 * MIB - 1, 64 * MIB + 1];
const ODD_NAMES = [
  'with space',
  'per%cent%20',
  'naïve-é',
  '日本語',
  '🌊',
  'a+b&c=d?e#f',
  'quote\'"',
  'tab\tnewline\n',
  '..hidden',
  '~tilde',
  'x'.repeat(200),
];

export interface SourceTree {
  /** Keys with forward slashes, as in the bucket. */
  readonly keys: readonly string[];
  readonly bytes: number;
}

interface Shape {
  readonly count: number;
  readonly bigBytes: number;
  /** Plain names, one folder deep. */
  readonly isPlain: boolean;
}

/** Writes a tree of `count` files of mixed sizes, and one file of `bigBytes`. The bytes are random. */
export function makeSourceTree(root: string, { count, bigBytes, isPlain }: Shape): SourceTree {
  const keys: string[] = [];
  let bytes = 0;
  const add = (key: string, size: number) => {
    mkdirSync(dirname(join(root, key)), { recursive: true });
    bytes += size;
    keys.push(key);
    writeRandom(join(root, key), size);
  };
  for (const [i, name] of isPlain ? [] : ODD_NAMES.entries())
    add(`odd names/${name}/${name}.bin`, SIZES[i % SIZES.length] ?? 0);
  for (const size of BORDER_SIZES) add(`borders/${size}.bin`, size);
  add('big.bin', bigBytes);
  const folder = isPlain ? 'data-' : 'data/';
  for (let i = keys.length; i < count; i++) add(`${folder}${i % 20}/${i}.bin`, SIZES[i % SIZES.length] ?? 0);
  return { keys, bytes };
}

function writeRandom(file: string, size: number): void {
  const block = Buffer.allocUnsafe(Math.min(size, MIB));
  const fd = openSync(file, 'w');
  for (let at = 0; at < size; at += block.length)
    writeSync(fd, randomFillSync(block), 0, Math.min(block.length, size - at));
  closeSync(fd);
}

export function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
