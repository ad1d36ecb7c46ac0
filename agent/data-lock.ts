import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { LeatError } from '#shared/model/faults.ts';

const EXCLUSIVE_NOW = 2 | 4;

/**
 * Makes the data directory and takes it for this process alone, or throws `busy`. It is a flock(2), which the kernel drops
 * with the process however that ends, so nothing stale is ever left behind. Answers how to give it back.
 */
export async function lockData(data: string, holder: () => string): Promise<() => void> {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const fd = openSync(join(data, 'lock'), 'a', 0o600);
  if (await lockNow(fd)) return () => closeSync(fd);
  closeSync(fd);
  throw new LeatError(
    'busy',
    `another agent runs on ${data} (${holder()}): use it, stop it with \`leat down\`, or give another --data`,
  );
}

async function lockNow(fd: number): Promise<boolean> {
  try {
    const { default: koffi } = await import('koffi');
    const flock = koffi.load(null).func('flock', 'int', ['int', 'int']) as (fd: number, operation: number) => number;
    return flock(fd, EXCLUSIVE_NOW) === 0;
  } catch {
    return lockByProgram(fd);
  }
}

/** Where koffi cannot be loaded: the lock belongs to the open file, so that another process can take it for this one. */
function lockByProgram(fd: number): boolean {
  const { status, error } = spawnSync('flock', ['--exclusive', '--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
  });
  if (error)
    throw new LeatError('unavailable', `neither koffi nor the program flock (util-linux) is here: ${error.message}`);
  return status === 0;
}
