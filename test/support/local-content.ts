import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PAGE_BYTES } from '#agent/cache/page-map.ts';
import type { Base } from '#agent/dirty/local-content.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { key } from './store-engine.ts';

/** A file of this machine, as a dirty file is. */
export interface Scratch {
  readonly fd: number;
  /** Fills pages with a byte. */
  fill(byte: number, ...pages: readonly number[]): void;
  remove(): void;
}

export function scratchFile(size: number): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'leat-dirty-'));
  const fd = openSync(join(folder, 'file'), 'w+');
  ftruncateSync(fd, size);
  return {
    fd,
    fill(byte, ...pages) {
      for (const page of pages) {
        const length = Math.max(0, Math.min(PAGE_BYTES, size - page * PAGE_BYTES));
        writeSync(fd, Buffer.alloc(length, byte), 0, length, page * PAGE_BYTES);
      }
    },
    remove() {
      closeSync(fd);
      rmSync(folder, { recursive: true });
    },
  };
}

interface Pages {
  readonly same?: readonly number[];
  readonly changed?: readonly number[];
  /** So large they are. */
  readonly unit?: number;
}

/** What a file has of a base, page by page: what is neither the same nor changed is missing. */
export function baseBlocks(baseBytes: number, { same = [], changed = [], unit = PAGE_BYTES }: Pages): Base['blocks'] {
  const stateOf = (page: number) => {
    if (page * unit >= baseBytes || changed.includes(page)) return 'changed';
    return same.includes(page) ? 'same' : 'missing';
  };
  return {
    baseBytes,
    runs({ offset, length }) {
      const runs = [];
      for (let at = offset, end = at; at < offset + length; at = end) {
        const page = Math.floor(at / unit);
        end = Math.min(offset + length, (page + 1) * unit);
        runs.push({ state: stateOf(page), offset: at, length: end - at } as const);
      }
      return runs;
    },
  };
}

/** An object whose pages are each filled with a byte. */
export async function* filled(size: number, byteOf: (page: number) => number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size; at += PAGE_BYTES)
    yield Buffer.alloc(Math.min(PAGE_BYTES, size - at), byteOf(at / PAGE_BYTES));
}

/** The byte that each page of an object is filled with; -1 of a page with several. */
export async function pagesIn(store: UnderStore, name: string): Promise<number[]> {
  const { size = 0 } = (await store.stat(key(name))) ?? {};
  const bytes = Buffer.alloc(size);
  let filledTo = 0;
  await store.read(key(name), { offset: 0, length: size }, (piece) => {
    bytes.set(piece, filledTo);
    filledTo += piece.length;
  });
  return Array.from({ length: Math.ceil(size / PAGE_BYTES) }, (_, page) => {
    const content = bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    const byte = content[0] ?? -1;
    return content.equals(Buffer.alloc(content.length, byte)) ? byte : -1;
  });
}
