import { LeatError } from '../model/faults.ts';
import { INTENTS } from '../model/ids.ts';
import { ROOT_PATH, type Name, namesOf, joinPath, type Path, toText } from '../model/names.ts';
import type { Inode, InodeKind } from '../model/inode.ts';
import { demandChange } from './access.ts';
import { commit, type Context, inodeAt, nanosOf, type Place } from './context.ts';
import { touchDirectory } from './directory-times.ts';
import { storedAttributes } from './intent-acts.ts';
import type { Intent } from './intents.ts';
import type { Actor } from './namespace.ts';
import { child, confirmed, placeOf, resolveOne, resolveTarget, type Target } from './resolve.ts';

const MODE_BITS = 0o7777;
const SETGID = 0o2000;
const TARGET_BYTES_MAX = 4095;

export async function mkdir(
  context: Context,
  actor: Actor,
  path: Path,
  options: { readonly mode: number; readonly parents?: boolean },
): Promise<Inode> {
  if (!options.parents)
    return make(context, actor, await resolveTarget(context, actor, path), { kind: 'directory', mode: options.mode });
  let at = ROOT_PATH;
  for (const name of namesOf(path)) {
    at = joinPath(at, name);
    await mkdir(context, actor, at, { mode: options.mode }).catch(async (error: unknown) => {
      const there = await resolveOne(context, actor, at, { follow: true }).catch(() => undefined);
      if (there?.inode.kind !== 'directory') throw error;
    });
  }
  return (await resolveOne(context, actor, path, { follow: true })).inode;
}

export async function create(
  context: Context,
  actor: Actor,
  path: Path,
  { mode }: { readonly mode: number },
): Promise<Inode> {
  return make(context, actor, await resolveTarget(context, actor, path), { kind: 'file', mode });
}

export async function symlink(context: Context, actor: Actor, path: Path, target: string): Promise<Inode> {
  if (target === '' || target.includes('\0'))
    throw new LeatError('invalid', `${toText(path)}: '${toText(target)}' cannot be the target of a symlink`);
  if (target.length > TARGET_BYTES_MAX)
    throw new LeatError('nameTooLong', `${toText(path)}: a symlink's target has at most ${TARGET_BYTES_MAX} bytes`);
  return make(context, actor, await resolveTarget(context, actor, path), { kind: 'symlink', mode: 0o777, target });
}

interface NewEntry {
  readonly kind: InodeKind;
  readonly mode: number;
  readonly target?: string;
}

/**
 * Writes the row if the name is free, then reads the directory again: whoever removes it marks it first and looks for entries
 * after, so one of the two sees the other. Without a transaction on the directory any number of creators go on side by side.
 */
async function make(context: Context, actor: Actor, target: Target, entry: NewEntry): Promise<Inode> {
  const { directory, name } = target;
  if (await child(context, actor, directory, name)) throw new LeatError('exists', `${toText(target.path)}: exists`);
  demandChange(context, actor, directory);
  const inode = newInode(context, actor, directory, entry);
  const place = placeOf(directory, name, inode);
  const owed = promiseFor(place, entry);
  const promised = owed && context.intents.promise(owed);
  const put = { act: 'put', key: place.key, when: 'absent', row: inode } as const;
  const result = await commit(context, actor, promised ? [put, promised.change] : [put]);
  const isThere = await confirmed(context, directory);
  if (!isThere) {
    if (result.committed) await takeBack(context, actor, place, promised?.change.key.name);
    throw new LeatError('notFound', `${toText(directory.path)}: was removed meanwhile`);
  }
  if (!result.committed) throw new LeatError('exists', `${toText(target.path)}: exists`);
  promised?.accept();
  touchDirectory(context, directory);
  return inode;
}

async function takeBack(
  context: Context,
  actor: Actor,
  { key, inode }: Place,
  intent: Name | undefined,
): Promise<void> {
  const now = await inodeAt(context, key);
  if (now?.id === inode.id) await commit(context, actor, [{ act: 'remove', key, when: { version: now.version } }]);
  if (intent !== undefined)
    await commit(context, actor, [{ act: 'remove', key: { directory: INTENTS, name: intent }, when: 'any' }]);
}

/** As POSIX: in a setgid directory the group is inherited, and by directories the bit too. */
function newInode(context: Context, actor: Actor, directory: Place, { kind, mode, target }: NewEntry): Inode {
  const isSetgid = (directory.inode.mode & SETGID) !== 0;
  const now = context.clock();
  const time = nanosOf(now);
  return {
    kind,
    id: context.newId(),
    mode: (mode & MODE_BITS) | (isSetgid && kind === 'directory' ? SETGID : 0),
    uid: actor.uid,
    gid: isSetgid ? directory.inode.gid : actor.gid,
    size: target?.length ?? 0,
    atime: time,
    mtime: time,
    ctime: time,
    bornAt: now,
    version: 1,
    generation: kind === 'directory' ? 0 : 1,
    ...(kind === 'directory' && directory.origin && { listedAt: now }),
    ...(target !== undefined && { target }),
  };
}

/** Files are owed nothing before they have content: an empty one is written by the first upload. */
function promiseFor(place: Place, { kind, target }: NewEntry): Intent | undefined {
  if (!place.origin || kind === 'file') return undefined;
  const { mount, key } = place.origin;
  const { mode, uid, gid, mtime } = place.inode;
  return kind === 'symlink'
    ? { act: 'makeSymlink', mount, key, target: target ?? '', row: place.key }
    : { act: 'makeDirectory', mount, key, attributes: storedAttributes({ mode, uid, gid, mtime }) };
}
