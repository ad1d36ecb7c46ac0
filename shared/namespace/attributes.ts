import { LeatError } from '../model/faults.ts';
import { heldTime, type Inode, isSpecialKind, type Nanos } from '../model/inode.ts';
import { type Path, toText } from '../model/names.ts';
import { demandAccess, demandOwner, demandWritable, isInGroup, isSuperuser, WRITE } from './access.ts';
import { opened } from './closing.ts';
import { asRead, commit, type Context, keyToTell, nanosOf, type Place, retried, revised } from './context.ts';
import { type Intent, rowOf, storedAttributes } from './intent.ts';
import type { Debtor } from './intents.ts';
import type { Actor, AttributePatch, Expectation } from './namespace.ts';
import { expectSame } from './remove.ts';
import { resolve } from './resolve.ts';
import { demandWriteTypeXattr } from './write-types.ts';

const XATTR_NAME_BYTES_MAX = 255;
const XATTR_VALUE_BYTES_MAX = 64 * 1024;
const XATTRS_BYTES_MAX = 128 * 1024;
const SETUID = 0o4000;
const SETGID = 0o2000;
const GROUP_EXECUTE = 0o010;

export async function setAttributes(
  context: Context,
  actor: Actor,
  path: Path,
  input: AttributePatch & { readonly expect?: Expectation },
): Promise<Inode> {
  const { expect = {}, ...patch } = input;
  return changeRow(context, actor, path, (place) => {
    expectSame(place, expect);
    demandAllowed(actor, place, patch);
    // Times of a directory that are due to be written would come over those that are set now.
    if (patch.mtime !== undefined) context.times.cancel(place.inode.id);
    const now = nanosOf(context.clock());
    const time = (value: Nanos | 'now' | undefined, old: Nanos) => (value === 'now' ? now : heldTime(value ?? old));
    return {
      ...(patch.uid !== undefined && { uid: patch.uid }),
      ...(patch.gid !== undefined && { gid: patch.gid }),
      mode: modeAfter(actor, place.inode, patch),
      atime: time(patch.atime, place.inode.atime),
      mtime: time(patch.mtime, place.inode.mtime),
      ctime: now,
    };
  });
}

/** Chown takes the set-id bits away from a file; chmod keeps setgid only for members of the group. */
function modeAfter(actor: Actor, inode: Inode, { mode, uid, gid }: AttributePatch): number {
  if (mode !== undefined) {
    const mayKeep = actor.checked || isSuperuser(actor) || isInGroup(actor, gid ?? inode.gid);
    return mode & (mayKeep ? 0o7777 : 0o7777 & ~SETGID);
  }
  if ((uid === undefined && gid === undefined) || inode.kind !== 'file') return inode.mode;
  // Setgid without the group's x once meant mandatory locking, and is no privilege.
  return inode.mode & ~(inode.mode & GROUP_EXECUTE ? SETUID | SETGID : SETUID);
}

function demandAllowed(actor: Actor, place: Place, patch: AttributePatch): void {
  if (actor.checked || isSuperuser(actor)) return;
  const { inode } = place;
  if (patch.mode !== undefined) demandOwner(actor, place);
  if (patch.uid !== undefined) {
    demandOwner(actor, place);
    if (patch.uid !== inode.uid) {
      throw new LeatError('notPermitted', `${toText(place.path)}: only root gives a file to another user`);
    }
  }
  if (patch.gid !== undefined) {
    demandOwner(actor, place);
    if (patch.gid !== inode.gid && !isInGroup(actor, patch.gid))
      throw new LeatError('notPermitted', `${toText(place.path)}: user ${actor.uid} is not in group ${patch.gid}`);
  }
  if (actor.uid === inode.uid) return;
  // As touch(1) without a time: who may write the file may say that it was now, of both times together.
  if (patch.atime === 'now' && patch.mtime === 'now') demandAccess(actor, place, WRITE);
  else if (patch.atime !== undefined || patch.mtime !== undefined) demandOwner(actor, place);
}

export async function setXattr(
  context: Context,
  actor: Actor,
  path: Path,
  { name, value, mode }: { readonly name: string; readonly value: string; readonly mode: 'set' | 'create' | 'replace' },
): Promise<Inode> {
  demandXattrName(actor, path, name);
  if (value.length > XATTR_VALUE_BYTES_MAX) {
    throw new LeatError(
      'tooLarge',
      `${toText(path)}: a value of ${name} of ${value.length} bytes, over ${XATTR_VALUE_BYTES_MAX}`,
    );
  }
  return changeRow(context, actor, path, (place) => {
    demandAccess(actor, place, WRITE);
    demandWriteTypeXattr(path, place.inode, name, value);
    const old = place.inode.xattrs ?? {};
    const has = Object.hasOwn(old, name);
    if (mode === 'create' && has) throw new LeatError('exists', `${toText(path)}: attribute ${name} exists`);
    if (mode === 'replace' && !has) throw noAttribute(path, name);
    const xattrs = { ...old, [name]: value };
    const bytes = Object.entries(xattrs).reduce((sum, [key, text]) => sum + key.length + text.length, 0);
    if (bytes > XATTRS_BYTES_MAX)
      throw new LeatError(
        'noSpace',
        `${toText(path)}: extended attributes of ${bytes} bytes, over ${XATTRS_BYTES_MAX}`,
      );
    return { xattrs, ctime: nanosOf(context.clock()) };
  });
}

export async function removeXattr(context: Context, actor: Actor, path: Path, name: string): Promise<Inode> {
  demandXattrName(actor, path, name);
  return changeRow(context, actor, path, (place) => {
    demandAccess(actor, place, WRITE);
    const { [name]: gone, ...xattrs } = place.inode.xattrs ?? {};
    if (gone === undefined) throw noAttribute(path, name);
    return { xattrs, ctime: nanosOf(context.clock()) };
  });
}

const noAttribute = (path: Path, name: string) =>
  new LeatError('noAttribute', `${toText(path)}: has no attribute ${name}`);

function demandXattrName(actor: Actor, path: Path, name: string): void {
  const isKnown = name.startsWith('user.') || name.startsWith('trusted.');
  if (!isKnown)
    throw new LeatError(
      'unsupported',
      `${toText(path)}: attributes are kept in user.* and trusted.*, not ${toText(name)}`,
    );
  if (name.length > XATTR_NAME_BYTES_MAX)
    throw new LeatError(
      'nameTooLong',
      `${toText(path)}: an attribute's name has at most ${XATTR_NAME_BYTES_MAX} bytes`,
    );
  if (name.startsWith('trusted.') && !isSuperuser(actor))
    throw new LeatError('notPermitted', `${toText(path)}: only root sets trusted.*`);
}

async function changeRow(
  context: Context,
  actor: Actor,
  path: Path,
  decide: (place: Place) => Partial<Inode>,
): Promise<Inode> {
  const attempt = async (debtor: Debtor) => {
    const chain = await resolve(context, actor, path);
    const place = chain.at(-1) as Place;
    demandWritable(context, place);
    const { key, inode } = place;
    const row = revised(inode, decide(place));
    if (inode.closing) {
      await opened(context, key, inode);
      return undefined;
    }
    const owed = attributesOwed(context, place, { row, debtor });
    const promised = owed && debtor.promise(owed, chain);
    const put = { act: 'put', key, when: asRead(inode), row } as const;
    const { committed } = await commit(context, actor, promised ? [put, promised.change] : [put]);
    if (!committed) return undefined;
    await promised?.accept();
    return row;
  };
  return retried(context, path, () => context.intents.owing(attempt));
}

/** The store learns what it can keep: mode, owner and time; xattrs stay here. */
function attributesOwed(
  context: Context,
  { origin, inode, key, path }: Place,
  { row: after, debtor }: { readonly row: Inode; readonly debtor: Debtor },
): Intent | undefined {
  if (!origin || inode.mount !== undefined || inode.kind === 'symlink' || isSpecialKind(inode.kind)) return undefined;
  const isSame =
    inode.mode === after.mode && inode.uid === after.uid && inode.gid === after.gid && inode.mtime === after.mtime;
  if (isSame) return undefined;
  const attributes = storedAttributes(after);
  return { act: 'setAttributes', ...keyToTell(context, origin, { path, debtor }), attributes, row: rowOf(key, inode) };
}
