import { constants, type BigIntStats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { isFault, LeatError } from '../model/faults.ts';
import type { Fingerprint, StoredKind, StoreKey } from '../model/inode.ts';
import type { ReadOptions, StoreAttributes, StoreEntry } from '../ports/under-store.ts';

/** A fifo must not hold up whoever opens it, and a symlink is not gone through. */
export const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

function kindOf(stat: BigIntStats): StoredKind | undefined {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  return stat.isSymbolicLink() ? 'symlink' : undefined; // fifos, sockets and devices have no bytes to show
}

/** What a path names; undefined when it names nothing that a store holds. */
export async function entryAt(path: Buffer, key: StoreKey): Promise<StoreEntry | undefined> {
  try {
    const stat = await fs.lstat(path, { bigint: true });
    const kind = kindOf(stat);
    if (!kind) return undefined;
    return {
      key,
      kind,
      size: kind === 'directory' ? 0 : Number(stat.size),
      mode: Number(stat.mode) & 0o7777,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      mtime: stat.mtimeNs,
      ...(kind !== 'directory' && { fingerprint: fingerprintOf(stat) }),
      ...(kind === 'symlink' && { target: await fs.readlink(path, 'latin1') }),
    };
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** Size and mtime alone would miss a file replaced within the clock's grain; the inode tells, and ctime tells a set-back mtime. */
function fingerprintOf(stat: BigIntStats): Fingerprint {
  return `${stat.size}-${stat.mtimeNs}-${stat.ino}-${stat.ctimeNs}` as Fingerprint;
}

/** The open file is what was asked for: a file, and of that version. Answers its size. */
export async function demandVersion(file: fs.FileHandle, { fingerprint }: ReadOptions): Promise<number> {
  const stat = await file.stat({ bigint: true });
  if (stat.isDirectory()) throw new LeatError('isDirectory', 'is a directory');
  if (!stat.isFile()) throw new LeatError('notFound', 'is not a file'); // a fifo, a socket or a device
  if (fingerprint !== undefined && fingerprintOf(stat) !== fingerprint)
    throw new LeatError('changed', 'was changed in its folder');
  return Number(stat.size);
}

/** A file of this name must not be there yet. Its bytes are on the disk when this answers. */
export async function writeNew(path: Buffer, body: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
  const file = await fs.open(path, 'wx');
  try {
    for await (const bytes of body) {
      demandWanted(signal);
      for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done)).bytesWritten;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** As the entry is: a symlink becomes one to the same target, and is never gone through. */
export async function copyNew(from: Buffer, to: Buffer, entry: StoreEntry): Promise<void> {
  if (entry.kind === 'directory') throw new LeatError('isDirectory', 'is a directory');
  if (entry.kind === 'symlink') await fs.symlink(Buffer.from(entry.target ?? '', 'latin1'), to);
  else await fs.copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  await applyAttributes(to, entry.kind, entry);
}

const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

/**
 * Gives a file a name that nothing has yet: in one step by a hard link. Where there are none (FAT, some network file systems) the name is
 * looked at first, and who takes it in between is replaced.
 */
export async function nameNew(temporary: Buffer, path: Buffer, link: typeof fs.link = fs.link): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (!NO_LINKS.includes(codeOf(error))) throw error;
    const isTaken = await fs.lstat(path).then(
      () => true,
      (absent: unknown) => !isAbsence(absent),
    );
    if (isTaken) throw new LeatError('exists', 'exists', { cause: error });
    return fs.rename(temporary, path);
  }
  await fs.unlink(temporary);
}

/** The owner first: a chown takes set-id bits away. A symlink has no mode of its own, and is never gone through. */
export async function applyAttributes(path: Buffer, kind: StoredKind, attributes: StoreAttributes): Promise<void> {
  const { mode, uid, gid, mtime } = attributes;
  if ((uid !== undefined || gid !== undefined) && process.getuid?.() === 0) {
    const now = await fs.lstat(path);
    await fs.lchown(path, uid ?? now.uid, gid ?? now.gid);
  }
  if (mode !== undefined && kind !== 'symlink') await fs.chmod(path, mode);
  if (mtime !== undefined) await fs.lutimes(path, Number(mtime) / 1e9, Number(mtime) / 1e9);
}

/** Makes the names in a directory last: a rename alone may be lost with the power. */
export async function syncDirectory(path: Buffer): Promise<void> {
  const directory = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } catch (error) {
    if (codeOf(error) !== 'EINVAL') throw error; // some network file systems cannot, and need not
  } finally {
    await directory.close();
  }
}

export function demandWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new LeatError('interrupted', 'was interrupted');
}

export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? '';
}

export const isAbsence = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(codeOf(error));

const KINDS: Readonly<Record<string, LeatError['kind']>> = {
  ENOENT: 'notFound',
  ENOTDIR: 'notFound',
  EEXIST: 'exists',
  ENOTEMPTY: 'notEmpty',
  EISDIR: 'isDirectory',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'readOnly',
  ENOSPC: 'noSpace',
  EDQUOT: 'noSpace',
  ENAMETOOLONG: 'nameTooLong',
  ELOOP: 'invalid',
};

/** What a file system throws, as a fault. `what` names the file and the act. */
export function localFault(error: unknown, what: string): unknown {
  if (isFault(error)) return new LeatError(error.kind, `${what}: ${error.message}`, { cause: error });
  const code = codeOf(error);
  // Errors of the body's producer are not of the store, and stay as they are.
  if (code === '' || (error as NodeJS.ErrnoException).syscall === undefined) return error;
  return new LeatError(KINDS[code] ?? 'unavailable', `${what} (${code})`, { cause: error });
}
