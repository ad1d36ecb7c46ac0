/**
 * The three system calls that Node lacks. Each answers whether it did its work; where libc cannot be reached (another
 * platform, no prebuilt koffi) all of them say no, and the cache falls back to whole files and to libuv's threads.
 */
const KEEP_SIZE_PUNCH_HOLE = 0x01 | 0x02;
const RWF_NOWAIT = 0x08;

interface Libc {
  readonly fallocate: (fd: number, mode: number, offset: number, length: number) => number;
  readonly preadv2: (
    fd: number,
    vector: { base: Uint8Array; length: number },
    count: number,
    offset: number,
    flags: number,
  ) => number;
  readonly syncfs: (fd: number, done: (error: unknown, result: number) => void) => void;
}

const libc = process.platform === 'linux' ? await load() : undefined;

async function load(): Promise<Libc | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    const library = koffi.load(null);
    const vector = koffi.struct({ base: 'void *', length: 'size_t' });
    return {
      fallocate: library.func('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t']),
      preadv2: library.func('preadv2', 'long', ['int', koffi.pointer(vector), 'int', 'int64_t', 'int']),
      syncfs: library.func('syncfs', 'int', ['int']).async,
    } as Libc;
  } catch {
    return undefined;
  }
}

/** Gives the blocks of a range back to the file system; the range reads as zeros afterwards. */
export function punchHole(fd: number, offset: number, length: number): boolean {
  return libc !== undefined && libc.fallocate(fd, KEEP_SIZE_PUNCH_HOLE, offset, length) === 0;
}

/**
 * Reads what the kernel's page cache holds, and answers how many bytes that were; -1 when it would have to wait for the
 * disk. As quick as `readSync`, and it never blocks the event loop: what is not in memory goes through libuv.
 */
export function readWithoutWaiting(fd: number, into: Uint8Array, position: number): number {
  return libc === undefined ? -1 : libc.preadv2(fd, { base: into, length: into.length }, 1, position, RWF_NOWAIT);
}

/** Writes everything of the file system that holds `fd` to its disk, off the event loop. */
export function syncFileSystem(fd: number): Promise<boolean> {
  if (libc === undefined) return Promise.resolve(false);
  return new Promise((resolve) => libc.syncfs(fd, (error, result) => resolve(!error && result === 0)));
}
