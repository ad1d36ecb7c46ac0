/**
 * One load generator, run as a child process: it says `ready`, waits for `go`, works, and says how much it did.
 * It knows nothing of Leat: the same calls go to ext4 and to the mount.
 */
import { closeSync, lstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { runWrites, type WriteLoad } from './write-load.ts';

export type Load =
  | WriteLoad
  /** open, read to the end, close: this process's share of the names, in random order. */
  | { readonly kind: 'small'; readonly directory: string; readonly names: string }
  | { readonly kind: 'stat'; readonly directory: string; readonly names: string }
  | { readonly kind: 'sequential'; readonly file: string; readonly blockBytes: number }
  | {
      readonly kind: 'random';
      readonly file: string;
      readonly blockBytes: number;
      readonly reads: number;
      readonly size: number;
    };

export interface Done {
  readonly operations: number;
  readonly bytes: number;
}

export interface Share {
  readonly index: number;
  readonly of: number;
}

const SMALL_BUFFER_BYTES = 1 << 20;

function run(load: Load, share: Share): Done {
  if (load.kind === 'small') return readSmall(load.directory, shareOf(load.names, share));
  if (load.kind === 'stat') return statAll(load.directory, shareOf(load.names, share));
  if (load.kind === 'sequential') return readThrough(load.file, load.blockBytes);
  if (load.kind === 'random') return readRandom(load, share);
  return runWrites(load, share);
}

function readSmall(directory: string, names: readonly string[]): Done {
  const buffer = Buffer.allocUnsafeSlow(SMALL_BUFFER_BYTES);
  let bytes = 0;
  for (const name of names) {
    const fd = openSync(join(directory, name), 'r');
    for (let got = -1; got !== 0; bytes += got) got = readSync(fd, buffer, 0, buffer.length, null);
    closeSync(fd);
  }
  return { operations: names.length, bytes };
}

function statAll(directory: string, names: readonly string[]): Done {
  for (const name of names) lstatSync(join(directory, name));
  return { operations: names.length, bytes: 0 };
}

function readThrough(file: string, blockBytes: number): Done {
  const buffer = Buffer.allocUnsafeSlow(blockBytes);
  const fd = openSync(file, 'r');
  let bytes = 0;
  let operations = 0;
  for (let got = -1; got !== 0; bytes += got, operations++) got = readSync(fd, buffer, 0, blockBytes, null);
  closeSync(fd);
  return { operations, bytes };
}

function readRandom(load: Load & { kind: 'random' }, { index, of }: Share): Done {
  const buffer = Buffer.allocUnsafeSlow(load.blockBytes);
  const random = randomFrom(index + 1);
  const fd = openSync(load.file, 'r');
  const reads = Math.floor(load.reads / of);
  const blocks = Math.floor(load.size / load.blockBytes);
  let bytes = 0;
  for (let i = 0; i < reads; i++) {
    bytes += readSync(fd, buffer, 0, load.blockBytes, Math.floor(random() * blocks) * load.blockBytes);
  }
  closeSync(fd);
  return { operations: reads, bytes };
}

/** The names of this process, shuffled the same way in every run. */
function shareOf(namesFile: string, { index, of }: Share): string[] {
  const names = readFileSync(namesFile, 'utf8')
    .split('\n')
    .filter((_, i) => i % of === index);
  const random = randomFrom(index + 1);
  for (let i = names.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [names[i], names[j]] = [names[j] ?? '', names[i] ?? ''];
  }
  return names;
}

/** mulberry32: small, seeded, good enough to shuffle. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (process.send) {
  process.on('message', (message: { readonly load: Load; readonly share: Share }) => {
    process.send?.(run(message.load, message.share));
  });
  process.send('ready');
}
