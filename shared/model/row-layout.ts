import { LeatError } from './faults.ts';
import type { Row } from './inode.ts';

export const CODEC_VERSION = 1;

/** By their number in a row, so new ones are put behind. */
export const KINDS = [
  'file',
  'directory',
  'symlink',
  'record',
  'fifo',
  'socket',
  'character',
  'block',
] as const satisfies readonly Row['kind'][];

export function kindOf(view: DataView): Row['kind'] {
  const version = view.byteLength > 1 ? view.getUint8(0) : 0;
  const kind = KINDS[version === CODEC_VERSION ? view.getUint8(1) : -1];
  if (kind) return kind;
  throw new LeatError(
    'corrupt',
    `a row of version ${version} cannot be read: use the Leat that wrote it, or a newer one`,
  );
}
