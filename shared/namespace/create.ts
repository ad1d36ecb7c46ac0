import { LeatError } from '../model/faults.ts';
import type { InodeId } from '../model/ids.ts';
import { type Inode, type InodeKind, isSpecialKind } from '../model/inode.ts';
import { SETGID } from '../model/mode-bits.ts';
import { joinPath, namesOf, type Path, ROOT_PATH, toText } from '../model/names.ts';
import { usageOf } from '../model/quota.ts';
import type { RowKey } from '../ports/metastore.ts';
import { demandAccess, demandWritable, isInGroup, isSuperuser, SEARCH, WRITE } from './access.ts';
import { confirmed } from './closing.ts';
import { asRead, commit, type Context, inodeAt, keyIn, keyToTell, nanosOf, type Place, retried } from './context.ts';
import { forgotten, keptFirstAt, locationOf, newDirectoryId } from './directory-keys.ts';
import { type Intent, rowOf, storedAttributes } from './intent.ts';
import type { Debtor, Promised } from './intents.ts';
import type { Actor, NewSpecial } from './namespace.ts';
import { placeOf } from './places.ts';
import { permissionsInside } from './row-acls.ts';
import { spending } from './quotas.ts';
import { child, demandDirectory, resolveOne, resolveTarget } from './resolve.ts';

const MODE_BITS = 0o7777;
const SYMLINK_MODE = 0o777;
const GROUP_EXECUTE = 0o010;
const TARGET_BYTES_MAX = 4095;

interface NewEntry {
  readonly kind: InodeKind;
  readonly mode: number;
  /** Bits that the mode loses, where the directory has no default ACL. */
  readonly umask?: number;
  readonly target?: string;
  readonly device?: number;
  readonly holder?: string;
  /** Only in the namespace: the store is not told, and need not be writable. Mount points are so. */
  readonly isUnowed?: boolean;
}

export interface MkdirOptions {
  readonly mode: number;
  readonly umask?: number;
  readonly parents?: boolean;
  readonly isUnowed?: boolean;
}

export async function mkdir(
  context: Context,
  actor: Actor,
  path: Path,
  { parents, ...options }: MkdirOptions,
): Promise<Inode> {
  const entry = { kind: 'directory', ...options } as const;
  if (!parents) return make(context, actor, path, entry);
  let at = ROOT_PATH;
  for (const name of namesOf(path)) {
    at = joinPath(at, name);
    try {
      await make(context, actor, at, entry);
    } catch (error) {
      const there = await resolveOne(context, actor, at, { follow: true }).catch(() => undefined);
      // As mkdir(1): a file in the way of others is no directory; at the end of the path it exists.
      if (there && at !== path) demandDirectory(there);
      if (there?.inode.kind !== 'directory') throw error;
    }
  }
  return (await resolveOne(context, actor, path, { follow: true })).inode;
}

/** With a holder: who is about to write it there, so that its store is owed nothing yet. */
export function create(
  context: Context,
  actor: Actor,
  path: Path,
  options: { readonly mode: number; readonly umask?: number; readonly holder?: string },
): Promise<Inode> {
  return make(context, actor, path, { kind: 'file', ...options });
}

export async function symlink(context: Context, actor: Actor, path: Path, target: string): Promise<Inode> {
  if (target === '' || target.includes('\0')) {
    throw new LeatError('invalid', `${toText(path)}: '${toText(target)}' cannot be the target of a symlink`);
  }
  if (target.length > TARGET_BYTES_MAX) {
    throw new LeatError('nameTooLong', `${toText(path)}: a symlink's target has at most ${TARGET_BYTES_MAX} bytes`);
  }
  return make(context, actor, path, { kind: 'symlink', mode: SYMLINK_MODE, target });
}

export async function mknod(
  context: Context,
  actor: Actor,
  path: Path,
  { kind, device = 0, ...options }: NewSpecial,
): Promise<Inode> {
  const isDevice = kind === 'character' || kind === 'block';
  if (isDevice && !actor.checked && !isSuperuser(actor)) {
    throw new LeatError('notPermitted', `${toText(path)}: only root makes devices`);
  }
  return make(context, actor, path, { kind, ...options, ...(isDevice && { device }) });
}

async function make(context: Context, actor: Actor, path: Path, entry: NewEntry): Promise<Inode> {
  const attempt = async (debtor: Debtor) => {
    const target = await resolveTarget(context, actor, path);
    const { directory, name } = target;
    const there = await child(context, actor, target);
    if (there && (await isMadeBy(context, actor, there))) return there.inode;
    if (there) throw exists(target.path);
    if (!entry.isUnowed) demandWritable(context, directory);
    demandAccess(actor, directory, WRITE | SEARCH);
    const id = await newId(context, actor, { key: keyIn(directory, name), kind: entry.kind });
    const place = placeOf(directory, name, newInode(context, actor, directory, { ...entry, id }));
    const owed = entry.isUnowed ? undefined : debtOf(context, place, debtor);
    const promised = owed && debtor.promise(owed, target.chain);
    const spent = { way: target.chain, path: place.path, usage: usageOf(place.key, place.inode) };
    const isPut = await spending(context, spent, () => putNew(context, actor, { directory, place, promised }));
    return isPut ? place.inode : undefined;
  };
  return retried(context, path, () => context.intents.owing(attempt));
}

function newId(
  context: Context,
  { request }: Actor,
  { key, kind }: { readonly key: RowKey; readonly kind: InodeKind },
): InodeId | Promise<InodeId> {
  if (kind === 'directory') return newDirectoryId(context, key);
  return context.newId(request?.isRetry ? again(request.token) : request?.token);
}

/** What was made at first may have been moved away by others since: the same inode is not to be there twice. */
const again = (token: string): string => `${token}-again`;

/** A request that is repeated because its answer was lost finds what it has made. */
async function isMadeBy(context: Context, { request }: Actor, { inode: { id, kind } }: Place): Promise<boolean> {
  if (!request?.isRetry) return false;
  if (kind !== 'directory') return [request.token, again(request.token)].some((token) => id === context.newId(token));
  return (await locationOf(context.metastore, id))?.keptAt?.by === request.token;
}

interface NewRow {
  readonly directory: Place;
  readonly place: Place;
  readonly promised?: Promised | undefined;
}

/**
 * Writes the row if the name is free, then reads the directory again: whoever removes it marks it first and looks for entries
 * after, so one of the two sees the other. Without a transaction on the directory any number of creators go on side by side.
 * False: to be looked at again.
 */
export async function putNew(context: Context, actor: Actor, { directory, place, promised }: NewRow): Promise<boolean> {
  const { key, inode } = place;
  const by = actor.request && { by: actor.request.token };
  const result = await commit(context, actor, [
    { act: 'put', key, when: 'absent', row: inode },
    ...(inode.kind === 'directory' ? [keptFirstAt(inode.id, { key, ...by })] : []),
    ...(promised ? [promised.change] : []),
  ]);
  const isPut = result.committed;
  if (!(await confirmed(context, directory))) {
    // With a tree goes all that is in it: others may have seen this one before, so it was made, and removed.
    const goes = isPut && (await locationOf(context.metastore, directory.inode.id))?.isInTrash;
    if (!goes && (!isPut || (await takeBack(context, place, promised)))) {
      throw new LeatError('notFound', `${toText(directory.path)}: was removed meanwhile`);
    }
  }
  // A repeated request may meet what its first sending has made since we looked: the next look tells.
  if (!isPut && result.failed.includes(0) && !actor.request?.isRetry) throw exists(place.path);
  if (!isPut) return false;
  await promised?.accept();
  context.times.touch(context, directory);
  return true;
}

const exists = (path: Path) => new LeatError('exists', `${toText(path)}: exists`);

/** False: somebody has seen the row in time and taken it elsewhere, or removed it. Then it did exist, and was created. */
async function takeBack(context: Context, { key, inode, path }: Place, promised?: Promised): Promise<boolean> {
  return retried(context, path, async () => {
    const now = await inodeAt(context, key);
    if (now?.id !== inode.id) return false;
    // However late it is.
    const { committed } = await context.metastore.commit([
      { act: 'remove', key, when: asRead(now) },
      ...(now.kind === 'directory' ? [forgotten(context, now)] : []),
      ...(promised ? [{ act: 'remove', key: promised.change.key, when: 'any' } as const] : []),
    ]);
    return committed || undefined;
  });
}

/** As POSIX: in a setgid directory the group is inherited, and by directories the bit too. */
export function newInode(
  context: Context,
  actor: Actor,
  directory: Place,
  entry: NewEntry & { readonly id: InodeId },
): Inode {
  demandDirectory(directory);
  const { kind, id, target, device, holder } = entry;
  const isSetgid = (directory.inode.mode & SETGID) !== 0;
  const now = context.clock();
  const time = nanosOf(now);
  return {
    kind,
    id,
    ...permissionsInside(directory.inode, { ...entry, mode: modeOf(actor, directory, entry) }),
    uid: actor.uid,
    gid: isSetgid ? directory.inode.gid : actor.gid,
    size: target?.length ?? 0,
    atime: time,
    mtime: time,
    ctime: time,
    bornAt: now,
    version: 1,
    generation: kind === 'directory' ? 0 : 1,
    // What is made here is empty: there is nothing in the store to look for.
    ...(kind === 'directory' && directory.origin && { listedAt: now }),
    ...(target !== undefined && { target }),
    ...(device !== undefined && { device }),
    ...(holder !== undefined && { dirty: { holder } }),
  };
}

function modeOf(actor: Actor, { inode }: Place, { kind, mode }: NewEntry): number {
  const bits = mode & MODE_BITS;
  if (!(inode.mode & SETGID)) return bits;
  if (kind === 'directory') return bits | SETGID;
  // Nobody makes a program that runs as a group which is not his.
  const mayKeep = actor.checked || isSuperuser(actor) || isInGroup(actor, inode.gid);
  return mayKeep || !(bits & GROUP_EXECUTE) ? bits : bits & ~SETGID;
}

function debtOf(context: Context, { origin, path, key, inode }: Place, debtor: Debtor): Intent | undefined {
  const { kind } = inode;
  if (!origin || inode.dirty || isSpecialKind(kind)) return undefined;
  const attributes = storedAttributes(inode);
  const told = keyToTell(context, origin, { path, debtor });
  switch (kind) {
    case 'directory':
      return { act: 'makeDirectory', ...told, attributes };
    case 'file':
      return { act: 'makeFile', ...told, attributes, row: rowOf(key, inode) };
    case 'symlink':
      return { act: 'makeSymlink', ...told, attributes, target: inode.target ?? '', row: rowOf(key, inode) };
  }
}
