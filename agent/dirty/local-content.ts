import type { Fingerprint } from '#shared/model/inode.ts';
import type { BaseBlocks, BytesRange } from './base-blocks.ts';

/** The object from which a file that is partly here was made. */
export interface Base {
  readonly fingerprint: Fingerprint;
  readonly blocks: Pick<BaseBlocks, 'baseBytes' | 'runs'>;
}

/** The bytes of a file, as far as they are here; the others are in its base, unchanged. */
export interface LocalContent {
  readonly fd: number;
  readonly size: number;
  readonly base?: Base;
}

/** A run of bytes, and where they are. */
export interface Span extends BytesRange {
  readonly from: 'file' | 'base';
}

/** The base has these bytes too, so the store can copy them by itself. */
export function isInBase(range: BytesRange, base: Base | undefined): boolean {
  if (!base || range.offset + range.length > base.blocks.baseBytes) return false;
  return base.blocks.runs(range).every(({ state }) => state !== 'changed');
}

/** Where the bytes of a range are. */
export function spansOf(range: BytesRange, blocks: Pick<BaseBlocks, 'runs'> | undefined): Span[] {
  const runs = blocks?.runs(range) ?? [{ state: 'changed', ...range }];
  return runs.map(({ state, ...run }) => ({ from: state === 'missing' ? 'base' : 'file', ...run }));
}
