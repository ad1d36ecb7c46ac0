import { spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { LeatError } from '#shared/model/faults.ts';
import { DEVICE, type MountpointOptions, prepareMountpoint, raiseReadahead, SUBTYPE } from './mountpoint.ts';
import { receiveDevice, socketPair } from './fd-passing.ts';
import { mountFuse } from './syscalls.ts';

const MS_NOSUID_NODEV = 6;

export interface MountedDevice {
  readonly fd: number;
  /** Root may let the kernel read the cache's files by itself. */
  readonly isRoot: boolean;
}

export async function mountAt(options: MountpointOptions): Promise<MountedDevice> {
  await prepareMountpoint(options.at);
  const isRoot = process.getuid?.() === 0;
  const fd = isRoot ? mountAsRoot(options) : await mountAsUser(options);
  if (isRoot) raiseReadahead(options.at);
  return { fd, isRoot };
}

function mountAsRoot({ at, isReadOnly }: MountpointOptions): number {
  const fd = openSync(DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    const data = `fd=${fd},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,max_read=1048576`;
    mountFuse(at, SUBTYPE, { flags: MS_NOSUID_NODEV | (isReadOnly ? 1 : 0), data });
    return fd;
  } catch (error) {
    closeSync(fd);
    throw new LeatError(
      'unavailable',
      `${at}: the kernel refused the mount (${(error as Error).message}); containers need --cap-add SYS_ADMIN`,
      { cause: error },
    );
  }
}

async function mountAsUser({ at, isReadOnly, allowOther }: MountpointOptions): Promise<number> {
  const [ours, theirs] = socketPair();
  const options = [
    'nosuid',
    'nodev',
    'default_permissions',
    'max_read=1048576',
    `subtype=${SUBTYPE}`,
    `fsname=${SUBTYPE}`,
  ];
  if (isReadOnly) options.push('ro');
  if (allowOther) options.push('allow_other');
  const child = spawn('fusermount3', ['-o', options.join(','), '--', at], {
    stdio: ['ignore', 'ignore', 'pipe', theirs],
    env: { ...process.env, _FUSE_COMMFD: '3' },
  });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const code = await new Promise<number | string | null>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    child.once('close', resolve);
  });
  closeSync(theirs);
  if (code !== 0) {
    closeSync(ours);
    const hint = code === 'ENOENT' ? 'fusermount3 is not installed; install the package fuse3' : said.trim();
    throw new LeatError('unavailable', `${at}: could not be mounted: ${hint}`);
  }
  return receiveDevice(ours);
}
