import { closeSync, fstatSync, openSync, unlinkSync, writeSync } from 'node:fs';

/** Of the slowest clock by which a kernel stamps files. */
const TICK_MS_MAX = 20;
const WRITES = 8;

/**
 * How long after a write another one may leave the time of its file as it is: not at all where the kernel never gives a time again
 * that somebody has seen (Linux since 6.13, on most file systems).
 */
export function clockTickMs(dir: string): number {
  const path = `${dir}/tick`;
  const fd = openSync(path, 'w', 0o600);
  try {
    const seen = new Set<bigint>();
    for (let i = 0; i < WRITES; i++) {
      writeSync(fd, 'x', 0);
      seen.add(fstatSync(fd, { bigint: true }).mtimeNs);
    }
    return seen.size === WRITES ? 0 : TICK_MS_MAX;
  } finally {
    closeSync(fd);
    unlinkSync(path);
  }
}
