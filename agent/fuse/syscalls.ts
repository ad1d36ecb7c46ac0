import { ftruncateSync } from 'node:fs';
import koffi from 'koffi';
import { check } from './fd-passing.ts';

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
  memfdCreate: libc.func('int memfd_create(const char *name, unsigned int flags)'),
  mmap: libc.func('void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset)'),
};

const EFD_CLOEXEC_NONBLOCK = 0o2004000;
const POLLIN = 1;
const MFD_CLOEXEC = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const EINTR = 4;
const EAGAIN = 11;
const ENOENT = 2;

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

/** A file without a name, that is gone with the last process that has it. */
export function memoryFile(name: string, length: number): number {
  const fd = check(c.memfdCreate(name, MFD_CLOEXEC) as number, 'memfd_create');
  ftruncateSync(fd, length);
  return fd;
}

/** A piece of a file as memory: what is written there is in the file at once, and survives this process. It is never unmapped. */
export function mapped(fd: number, offset: number, length: number): ArrayBuffer {
  const address: unknown = c.mmap(null, length, PROT_READ_WRITE, MAP_SHARED, fd, offset);
  if (koffi.address(address) === 0xffff_ffff_ffff_ffffn) check(-1, 'mmap');
  return koffi.view(address, length);
}
