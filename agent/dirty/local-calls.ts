import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';

/** libc, for what Node lacks of local files. */
const libc = koffi.load(null);
const timespec = koffi.struct('timespec', { seconds: 'long', nanos: 'long' });
const c = {
  futimens: libc.func('futimens', 'int', ['int', koffi.pointer(timespec)]),
  fallocate: libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)'),
  lseek: libc.func('int64_t lseek(int fd, int64_t offset, int whence)'),
};
const OMIT = { seconds: 0, nanos: (1 << 30) - 2 };
const NANOS = 1_000_000_000n;

function check(result: number, what: string): number {
  if (result >= 0) return result;
  const errno = koffi.errno();
  const code = getSystemErrorName(-errno);
  throw Object.assign(new Error(`${what}: ${code}`), { code, errno: -errno });
}

/** To the nanosecond, which Node's own cannot. Absent: stays. */
export function setTimes(fd: number, times: { readonly atime?: bigint; readonly mtime?: bigint }): void {
  check(c.futimens(fd, [timeOf(times.atime), timeOf(times.mtime)]) as number, 'futimens');
}

function timeOf(nanos: bigint | undefined) {
  if (nanos === undefined) return OMIT;
  const rest = ((nanos % NANOS) + NANOS) % NANOS;
  return { seconds: Number((nanos - rest) / NANOS), nanos: Number(rest) };
}

/** fallocate(2), with its own modes. */
export function allocate(fd: number, mode: number, offset: number, length: number): void {
  check(c.fallocate(fd, mode, offset, length) as number, 'fallocate');
}

/** lseek(2) with SEEK_DATA or SEEK_HOLE. */
export function seek(fd: number, offset: number, whence: number): number {
  return check(Number(c.lseek(fd, offset, whence)), 'lseek');
}
