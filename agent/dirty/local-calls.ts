import { spawnSync } from 'node:child_process';
import { getSystemErrorName } from 'node:util';
import { LeatError } from '#shared/model/faults.ts';

/** libc, for what Node lacks of local files; undefined where koffi cannot be loaded. */
const c = await load();
/** What `blocks` of a stat are of, whatever the file system. */
export const STAT_BLOCK_BYTES = 512;
const OMIT = { seconds: 0, nanos: (1 << 30) - 2 };
const NANOS = 1_000_000_000n;

async function load() {
  try {
    const { default: koffi } = await import('koffi');
    const libc = koffi.load(null);
    const timespec = koffi.struct('timespec', { seconds: 'long', nanos: 'long' });
    return {
      futimens: libc.func('futimens', 'int', ['int', koffi.pointer(timespec)]),
      fallocate: libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)'),
      lseek: libc.func('int64_t lseek(int fd, int64_t offset, int whence)'),
      errno: () => koffi.errno(),
    };
  } catch {
    return undefined;
  }
}

function libc(): NonNullable<typeof c> {
  if (c) return c;
  throw new LeatError('unsupported', 'koffi cannot be loaded on this platform');
}

function check(result: number, what: string): number {
  if (result >= 0) return result;
  const errno = libc().errno();
  const code = getSystemErrorName(-errno);
  throw Object.assign(new Error(`${what}: ${code}`), { code, errno: -errno });
}

/** To the nanosecond, which Node's own cannot. Absent: stays. */
export function setTimes(fd: number, times: { readonly atime?: bigint; readonly mtime?: bigint }): void {
  if (c) check(c.futimens(fd, [toSet(times.atime), toSet(times.mtime)]) as number, 'futimens');
  else setTimesByProgram(fd, times);
}

/** It inherits the descriptor as its number 3. */
function setTimesByProgram(fd: number, times: { readonly atime?: bigint; readonly mtime?: bigint }): void {
  for (const [option, nanos] of [['-a', times.atime] as const, ['-m', times.mtime] as const]) {
    if (nanos === undefined) continue;
    const size = nanos < 0n ? -nanos : nanos;
    const when = `@${nanos < 0n ? '-' : ''}${size / NANOS}.${String(size % NANOS).padStart(9, '0')}`;
    const { status, stderr } = spawnSync('touch', ['-c', option, '-d', when, '/proc/self/fd/3'], {
      stdio: ['ignore', 'ignore', 'pipe', fd],
      encoding: 'utf8',
    });
    if (status !== 0)
      throw new LeatError(
        'unavailable',
        `neither koffi nor the program touch can set a time: ${stderr ?? 'not found'}`,
      );
  }
}

const toSet = (nanos: bigint | undefined) => (nanos === undefined ? OMIT : timespecOf(nanos));

/** Of nanoseconds since 1970. */
export function timespecOf(nanos: bigint): { readonly seconds: number; readonly nanos: number } {
  const rest = ((nanos % NANOS) + NANOS) % NANOS;
  return { seconds: Number((nanos - rest) / NANOS), nanos: Number(rest) };
}

/** fallocate(2), with its own modes. */
export function allocate(fd: number, mode: number, offset: number, length: number): void {
  check(libc().fallocate(fd, mode, offset, length) as number, 'fallocate');
}

/** lseek(2) with SEEK_DATA or SEEK_HOLE. */
export function seek(fd: number, offset: number, whence: number): number {
  return check(Number(libc().lseek(fd, offset, whence)), 'lseek');
}
