import type { InodeId } from '#shared/model/ids.ts';
import { NAME_BYTES_MAX } from '#shared/model/names.ts';

/** A row's key in LMDB is the directory's id and then the name, so that a directory is one range in name order. */
const KEY_BYTES_MAX = 16 + NAME_BYTES_MAX;

export function rowKeyBytes(directory: InodeId, name: string): Buffer {
  return Buffer.from(directory + name, 'latin1');
}

/** The first key past all names of a directory. */
export function rangeEnd(directory: InodeId): Buffer {
  const end = Buffer.from(directory, 'latin1');
  for (let i = end.length - 1; i >= 0; i--) {
    end[i] = ((end[i] ?? 0) + 1) & 0xff;
    if (end[i] !== 0) return end;
  }
  return Buffer.alloc(KEY_BYTES_MAX, 0xff);
}
