import { closeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';

/** Descriptors of one process given to another over a socket, which Node lacks. */
const libc = koffi.load(null);
const c = {
  socketpair: libc.func('int socketpair(int domain, int type, int protocol, _Out_ int *fds)'),
  fcntl: libc.func('int fcntl(int fd, int command, int argument)'),
  sendmsg: libc.func('long sendmsg(int fd, void *message, int flags)'),
  recvmsg: libc.func('long recvmsg(int fd, void *message, int flags)'),
};

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0o2000001;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const CONTROL_HEADER = 16;
const CONTROL_BYTES = 64;

export function check(result: number, what: string): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(-koffi.errno());
  throw Object.assign(new Error(`${what}: ${code}`), { code, errno: -koffi.errno() });
}

export function socketPair(): readonly [number, number] {
  const fds = [0, 0];
  check(c.socketpair(AF_UNIX, SOCK_STREAM_CLOEXEC, 0, fds) as number, 'socketpair');
  return [fds[0] ?? -1, fds[1] ?? -1];
}

/** `control` has to live for as long as the message does. */
function messageOf(control: Buffer, data: Buffer): { readonly message: Buffer; readonly vector: Buffer } {
  const vector = Buffer.alloc(16);
  const message = Buffer.alloc(56);
  vector.writeBigUInt64LE(koffi.address(data), 0);
  vector.writeBigUInt64LE(1n, 8);
  message.writeBigUInt64LE(koffi.address(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(koffi.address(control), 32);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  return { message, vector };
}

export function sendFds(socket: number, fds: readonly number[]): void {
  const control = Buffer.alloc(CONTROL_HEADER + fds.length * 4 + (fds.length % 2) * 4);
  control.writeUInt32LE(CONTROL_HEADER + fds.length * 4, 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  fds.forEach((fd, i) => control.writeInt32LE(fd, CONTROL_HEADER + i * 4));
  const data = Buffer.alloc(1);
  const kept = messageOf(control, data);
  check(Number(c.sendmsg(socket, kept.message, 0)), 'sendmsg');
}

/** What another process sent; it must have sent it, else this would block. */
export function receiveFds(socket: number): readonly number[] {
  const data = Buffer.alloc(1);
  const control = Buffer.alloc(CONTROL_BYTES);
  const kept = messageOf(control, data);
  check(Number(c.recvmsg(socket, kept.message, MSG_CMSG_CLOEXEC)), 'recvmsg');
  if (control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS)
    throw new Error('no descriptor was sent');
  const count = (control.readUInt32LE(0) - CONTROL_HEADER) / 4;
  return Array.from({ length: count }, (_, i) => control.readInt32LE(CONTROL_HEADER + i * 4));
}

/** The one descriptor that fusermount3 sends, made non-blocking: it opens the device for reads that block. */
export function receiveDevice(socket: number): number {
  const [fd = -1] = receiveFds(socket);
  closeSync(socket);
  check(c.fcntl(fd, F_SETFL, O_NONBLOCK) as number, 'fcntl');
  return fd;
}
