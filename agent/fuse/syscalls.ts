import { closeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';

/** libc, for what Node lacks. Nothing here blocks, except `waitReadable`, which is meant to. */
const libc = koffi.load(null);
const c = {
  ioctl: libc.func('int ioctl(int fd, unsigned long request, void *argument)'),
  mount: libc.func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
  ),
  read: libc.func('long read(int fd, void *buffer, size_t length)'),
  poll: libc.func('int poll(void *fds, unsigned long count, int timeout)'),
  eventfd: libc.func('int eventfd(unsigned int value, int flags)'),
  socketpair: libc.func('int socketpair(int domain, int type, int protocol, _Out_ int *fds)'),
  fcntl: libc.func('int fcntl(int fd, int command, int flags)'),
  recvmsg: libc.func('long recvmsg(int fd, void *message, int flags)'),
};

const EFD_CLOEXEC_NONBLOCK = 0o2004000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const POLLIN = 1;
const EINTR = 4;
const EAGAIN = 11;
const ENOENT = 2;

function check(result: number, what: string): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(-koffi.errno());
  throw Object.assign(new Error(`${what}: ${code}`), { code, errno: -koffi.errno() });
}

export function ioctl(fd: number, request: number, argument: Buffer): number {
  return check(c.ioctl(fd, request, argument) as number, 'ioctl');
}

export function mountFuse(
  target: string,
  source: string,
  options: { readonly flags: number; readonly data: string },
): void {
  check(c.mount(source, target, 'fuse.leat', options.flags, options.data) as number, `mount ${target}`);
}

/** Bytes read; 0 when there is nothing now, or the request went away before it was read. Throws ENODEV once unmounted. */
export function readNow(fd: number, buffer: Buffer): number {
  const got = Number(c.read(fd, buffer, buffer.length));
  if (got >= 0) return got;
  const errno = koffi.errno();
  if (errno === EAGAIN || errno === EINTR || errno === ENOENT) return 0;
  return check(-1, 'read');
}

export function eventFd(): number {
  return check(c.eventfd(0, EFD_CLOEXEC_NONBLOCK) as number, 'eventfd');
}

/** Sleeps until one of two descriptors has something to read, or the time is over (-1: never). */
export function twoReadable(first: number, second: number): (timeoutMs: number) => 'first' | 'second' | 'neither' {
  const fds = Buffer.alloc(16);
  fds.writeInt32LE(first, 0);
  fds.writeInt16LE(POLLIN, 4);
  fds.writeInt32LE(second, 8);
  fds.writeInt16LE(POLLIN, 12);
  return (timeoutMs) => {
    const count = c.poll(fds, 2, timeoutMs) as number;
    if (count <= 0) return 'neither';
    return fds.readInt16LE(14) === 0 ? 'first' : 'second';
  };
}

export function socketPair(): readonly [number, number] {
  const fds = [0, 0];
  check(c.socketpair(AF_UNIX, SOCK_STREAM, 0, fds) as number, 'socketpair');
  return [fds[0] ?? -1, fds[1] ?? -1];
}

/** The descriptor that another process sent over a socket, made non-blocking; it must have sent it, else this would block. */
export function receiveFd(socket: number): number {
  const data = Buffer.alloc(1);
  const vector = Buffer.alloc(16);
  const control = Buffer.alloc(64);
  const message = Buffer.alloc(56);
  vector.writeBigUInt64LE(koffi.address(data), 0);
  vector.writeBigUInt64LE(1n, 8);
  message.writeBigUInt64LE(koffi.address(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(koffi.address(control), 32);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  check(Number(c.recvmsg(socket, message, MSG_CMSG_CLOEXEC)), 'recvmsg');
  closeSync(socket);
  if (control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS)
    throw new Error('fusermount3 sent no descriptor');
  const fd = control.readInt32LE(16);
  // fusermount3 opens the device for reads that block, which would keep the session from the answers of the main thread.
  check(c.fcntl(fd, F_SETFL, O_NONBLOCK) as number, 'fcntl');
  return fd;
}
