import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, statSync, utimesSync } from 'node:fs';
import { uptime } from 'node:os';
import { dirname } from 'node:path';
import type { CacheKey } from './data-cache.ts';

/**
 * A cached file is *sealed* when its local mtime is one of two stamps. Whoever writes to it, or truncates it, moves its mtime
 * or its size, so tampering shows at open without an index. The first stamp means that the bytes are on the disk. The second is
 * different after every boot: it seals files that the kernel may still hold in memory, which a power loss could leave full of holes.
 */
export const SYNCED_STAMP = 978_307_200;
export const UNSYNCED_STAMP = SYNCED_STAMP + 1 + bootNumber();

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The final name of a content: 256 directories by the last byte of the id, so that none of them grows large. */
export function sealedPath(dir: string, key: CacheKey): string {
  let id = '';
  for (let at = 0; at < key.id.length; at++) id += HEX[key.id.charCodeAt(at)];
  return `${dir}/${id.slice(-2)}/${id}-${key.generation}`;
}

/** Where a content of more than one page lies until it is sealed. */
export function partPath(dir: string, key: CacheKey): string {
  return `${sealedPath(dir, key)}${PART_SUFFIX}`;
}

export const PART_SUFFIX = '.part';

/**
 * Opens a wholly cached content for reading; undefined when it is not here or not as it was sealed. A hit costs two system
 * calls; a miss costs an exception, which is little beside the fetch that follows it.
 */
export function openSealed(dir: string, key: CacheKey, size: number): number | undefined {
  try {
    const fd = openSync(sealedPath(dir, key), 'r');
    const stat = fstatSync(fd);
    if (stat.size === size && isStamp(stat.mtimeMs)) return fd;
    closeSync(fd);
  } catch {
    // Not here, or not to be opened: the same for who asks.
  }
  return undefined;
}

/** What `openSealed` would say, without a descriptor. */
export function isSealed(path: string, size: number): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && stat.size === size && isStamp(stat.mtimeMs);
}

/** A whole file becomes a sealed one. Stamped first: under its name it is never without. */
export function sealAs(path: string, to: string, nowMs: number): void {
  utimesSync(path, nowMs / 1000, UNSYNCED_STAMP);
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  renameSync(path, to);
}

export function isStamp(mtimeMs: number): boolean {
  return mtimeMs === SYNCED_STAMP * 1000 || mtimeMs === UNSYNCED_STAMP * 1000;
}

/** A number that all threads and processes of this boot agree on, and hardly any other boot. */
function bootNumber(): number {
  const NUMBERS = 0x2000_0000;
  try {
    return Number.parseInt(readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8), 16) % NUMBERS;
  } catch {
    const MINUTE_MS = 60_000;
    return Math.round((Date.now() - uptime() * 1000) / MINUTE_MS) % NUMBERS;
  }
}

/** For who only wants the descriptor to be gone. */
export function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // A descriptor that cannot be closed is gone all the same.
  }
}

/** The reverse of `sealedPath` and `partPath`, for the scan at start-up. */
export function keyOfFile(name: string): { readonly id: string; readonly generation: number } | undefined {
  const match = /^((?:[0-9a-f]{2})+)-(\d+)(?:\.part)?$/.exec(name);
  if (!match?.[1] || !match[2]) return undefined;
  return { id: Buffer.from(match[1], 'hex').toString('latin1'), generation: Number(match[2]) };
}
