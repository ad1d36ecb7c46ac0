import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { mkdir, opendir, statfs } from 'node:fs/promises';
import { LeatError } from '#shared/model/faults.ts';

export const DEVICE = '/dev/fuse';
const READ_AHEAD_KB = '1024';
export const SUBTYPE = 'leat';

export interface MountpointOptions {
  /** Absolute. */
  readonly at: string;
  readonly isReadOnly: boolean;
  readonly allowOther: boolean;
}

/** What a host lacks for a mount, said so that its owner can get it; undefined when nothing. */
export function fuseMissing(): string | undefined {
  try {
    closeSync(openSync(DEVICE, 'r+'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      return `${DEVICE} is missing: load the fuse module (modprobe fuse), or give the container --device ${DEVICE} --cap-add SYS_ADMIN`;
    if (code === 'EACCES')
      return `${DEVICE} may not be opened: make it readable and writable for this user (chmod 666 ${DEVICE})`;
    return `${DEVICE} cannot be opened (${code}): containers need --device ${DEVICE} --cap-add SYS_ADMIN`;
  }
  return undefined;
}

/** Makes the folder, and clears away what an agent that died has left there. */
export async function prepareMountpoint(at: string): Promise<void> {
  const type = mountType(at);
  if (type === `fuse.${SUBTYPE}`) {
    // Of a mount whose agent has died the kernel may still know the attributes, and would answer `stat` with them.
    const isDead = await statfs(at).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === 'ENOTCONN',
    );
    if (!isDead)
      throw new LeatError(
        'busy',
        `${at}: another agent has mounted there; stop it with \`leat down\`, or choose another --at`,
      );
    await unmount(at, { isLazy: true });
  } else if (type !== undefined)
    throw new LeatError('busy', `${at}: a file system of type ${type} is mounted there; choose another --at`);
  await mkdir(at, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    throw new LeatError('notDirectory', `${at}: is no directory to mount on (${error.code}); choose another --at`);
  });
  await using directory = await opendir(at);
  const entry = await directory.read();
  if (entry) throw new LeatError('notEmpty', `${at}: holds ${entry.name}; mount on an empty directory with --at`);
}

/** The kernel reads 128 KiB ahead unless told otherwise; larger requests cost a quarter of the CPU. */
export function raiseReadahead(at: string): void {
  const device = mountLine(at)?.[2];
  if (device === undefined) return;
  try {
    writeFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, READ_AHEAD_KB);
  } catch {
    // /sys is read-only in many containers; reads are smaller then.
  }
}

/** Throws `busy`, and says who keeps it, when somebody uses the mount. */
export async function unmountFrom(at: string): Promise<void> {
  const { code, said } = await unmount(at, { isLazy: false });
  if (code === 0 || mountType(at) === undefined) return;
  const users = usersOf(at);
  const who = users.length > 0 ? ` by process ${users.join(', ')}` : '';
  throw new LeatError('busy', `${at}: is in use${who}; leave it and try again (${said.trim()})`);
}

/** Takes the mount out of the tree at once; who has files open keeps them until the agent ends. */
export async function detachFrom(at: string): Promise<void> {
  await unmount(at, { isLazy: true });
}

async function unmount(at: string, { isLazy }: { readonly isLazy: boolean }): Promise<Ran> {
  if (process.getuid?.() === 0) return run('umount', isLazy ? ['-l', at] : [at]);
  const args = [isLazy ? '-uz' : '-u', '--', at];
  const ran = await run('fusermount3', args);
  // A machine may have that of FUSE 2 alone, which the libfuse driver mounts by.
  return ran.code === NOT_THERE ? run('fusermount', args) : ran;
}

interface Ran {
  readonly code: number | null;
  readonly said: string;
}

const NOT_THERE = -1;

/** Never synchronous: an unmount asks the file system that this very process serves. */
function run(program: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.once('error', (error) => resolve({ code: NOT_THERE, said: error.message }));
    child.once('close', (code) => resolve({ code, said }));
  });
}

function mountLine(at: string): string[] | undefined {
  const bytes = Buffer.from(at).toString('latin1');
  const escaped = bytes.replaceAll(/[ \t\n\\]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`);
  const lines = readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .map((line) => line.split(' '));
  return lines.findLast((fields) => fields[4] === escaped);
}

function mountType(at: string): string | undefined {
  const fields = mountLine(at);
  return fields?.[fields.indexOf('-') + 1];
}

function programOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'ended';
  }
}

/** Processes with a working directory or an open file below, as far as /proc shows. */
function usersOf(at: string): string[] {
  const isBelow = (link: string) => {
    try {
      const target = readlinkSync(link);
      return target === at || target.startsWith(`${at}/`);
    } catch {
      return false;
    }
  };
  const opened = (pid: string) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`);
    } catch {
      return [];
    }
  };
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && [`/proc/${pid}/cwd`, ...opened(pid)].some(isBelow))
    .map((pid) => `${pid} (${programOf(pid)})`);
}
