import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, rmdirSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Done, Share } from './load.ts';

export type WriteLoad =
  | {
      readonly kind: 'write';
      readonly file: string;
      readonly blockBytes: number;
      readonly bytes: number;
      readonly isSynced: boolean;
    }
  /** This process's share of so many files of so many bytes. */
  | {
      readonly kind: 'create';
      readonly directory: string;
      readonly count: number;
      readonly bytes: number;
      readonly isSynced: boolean;
    }
  /** One phase of mdtest, over this process's share of the names. */
  | { readonly kind: 'metadata'; readonly directory: string; readonly count: number; readonly phase: Phase };

export type Phase = keyof typeof PHASES;

export const PHASES = {
  'create files': (path: string) => closeSync(openSync(path, 'wx')),
  'stat files': lstatSync,
  'remove files': unlinkSync,
  'make directories': (path: string) => mkdirSync(path),
  'stat directories': lstatSync,
  'remove directories': rmdirSync,
} as const;

export function runWrites(load: WriteLoad, share: Share): Done {
  if (load.kind === 'write') return writeThrough(load);
  if (load.kind === 'create') return createAll(load, share);
  const paths = pathsOf(load, share);
  for (const path of paths) PHASES[load.phase](path);
  return { operations: paths.length, bytes: 0 };
}

function writeThrough({ file, blockBytes, bytes, isSynced }: WriteLoad & { kind: 'write' }): Done {
  const block = Buffer.allocUnsafeSlow(blockBytes).fill('leat');
  const fd = openSync(file, 'w');
  let written = 0;
  while (written < bytes) written += writeSync(fd, block);
  if (isSynced) fsyncSync(fd);
  closeSync(fd);
  return { operations: written / blockBytes, bytes: written };
}

function createAll(load: WriteLoad & { kind: 'create' }, share: Share): Done {
  const content = Buffer.alloc(load.bytes, 'leat');
  const paths = pathsOf(load, share);
  for (const path of paths) {
    const fd = openSync(path, 'wx');
    writeSync(fd, content);
    if (load.isSynced) fsyncSync(fd);
    closeSync(fd);
  }
  return { operations: paths.length, bytes: paths.length * load.bytes };
}

function pathsOf({ directory, count }: { directory: string; count: number }, { index, of }: Share): string[] {
  const paths = Array.from({ length: count }, (_, i) => join(directory, `made-${i}`));
  return paths.filter((_, i) => i % of === index);
}
