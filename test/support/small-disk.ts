import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A disk of so many bytes until the end of the test; undefined where nobody may mount one. */
export function smallDisk(bytes: number): string | undefined {
  const dir = mkdtempSync(join(tmpdir(), 'leat-small-disk-'));
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'leat-test', dir]).status === 0;
  onTestFinished(() => {
    if (isMounted) spawnSync('umount', ['-l', dir]);
    rmSync(dir, { recursive: true, force: true });
  });
  return isMounted ? dir : undefined;
}

export const NO_SMALL_DISK = 'a small disk of its own takes the right to mount one';
