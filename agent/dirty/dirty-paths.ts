import { closeSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import type { InodeId } from '#shared/model/ids.ts';

const SHARDS = 256;
const HEX = Array.from({ length: SHARDS }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** A dirty file lies under its inode's id, whatever becomes of its name: 256 directories, so that none of them grows large. */
export function dirtyPath(dir: string, id: InodeId): string {
  let text = '';
  for (let at = 0; at < id.length; at++) text += HEX[id.charCodeAt(at)];
  return `${dir}/${text.slice(-2)}/${text}`;
}

/** Beside a file of which some blocks are not here. */
export function mapPath(dir: string, id: InodeId): string {
  return `${dirtyPath(dir, id)}.map`;
}

/** For reading; undefined when it is not wholly here. */
export function openDirty(dir: string, id: InodeId, size: number): number | undefined {
  try {
    const fd = openSync(dirtyPath(dir, id), 'r');
    if (fstatSync(fd).size === size) return fd;
    closeSync(fd);
  } catch {
    // Not here: the same for who asks.
  }
  return undefined;
}

export function makeShards(dir: string): void {
  for (const shard of HEX) mkdirSync(`${dir}/${shard}`, { recursive: true, mode: 0o700 });
}
