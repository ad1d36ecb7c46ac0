import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const CACHE = new URL('../.cache/', import.meta.url).pathname;
const POLL_MS = 200;
const WAIT_MS_MAX = 600_000;

/**
 * A folder under `.cache` that `install` fills, once for the checkout: of several processes one installs and the others wait.
 * Undefined, with the reason on the console, where it cannot be filled.
 */
export function installed(name: string, install: (folder: string) => void): string | undefined {
  const folder = `${CACHE}${name}/`;
  const done = `${folder}.installed`;
  if (existsSync(done)) return folder;
  mkdirSync(folder, { recursive: true });
  const lock = `${folder}.installing`;
  for (let waited = 0; !existsSync(done); waited += POLL_MS) {
    if (taken(lock)) return filled({ name, folder, done, lock, install });
    if (waited >= WAIT_MS_MAX) throw new Error(`${lock} is held by a process that does not come to an end: end it`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
  }
  return folder;
}

interface Installation {
  readonly name: string;
  readonly folder: string;
  readonly done: string;
  readonly lock: string;
  readonly install: (folder: string) => void;
}

function filled({ name, folder, done, lock, install }: Installation): string | undefined {
  try {
    if (existsSync(done)) return folder;
    console.log(`installing ${name}, once …`);
    install(folder);
    writeFileSync(done, '');
    return folder;
  } catch (error) {
    console.log(`${name} could not be installed: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Holds the pid of who installs; that of a process which died is taken over. */
function taken(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    const pid = Number(readIfThere(lock));
    if (pid > 0 && !isAlive(pid)) rmSync(lock, { force: true });
    return false;
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
