import { LeatError } from '../model/faults.ts';
import { heldTime, type Inode, isSpecialKind, type Nanos } from '../model/inode.ts';
import { SETGID, withoutSetId } from '../model/mode-bits.ts';
import { type Path, toText } from '../model/names.ts';
import { demandAccess, demandOwner, demandWritable, isInGroup, isSuperuser, WRITE } from './access.ts';
import { opened } from './closing.ts';
import {
  asRead,
  commit,
  type Context,
  keyToTell,
  nanosOf,
  type Owed,
  type Place,
  revised,
  whenSettled,
} from './context.ts';
import { type Intent, rowOf, storedAttributes } from './intent.ts';
import type { Debtor } from './intents.ts';
import type { Actor, AttributePatch, Expectation } from './namespace.ts';
import { expectSame } from './remove.ts';
import { resolve } from './resolve.ts';
import { permissionsWith } from './row-acls.ts';

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
      ...permissionsWith(place.inode, modeAfter(actor, place.inode, patch)),
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
  if ((uid === undefined && gid === undefined) || inode.kind === 'directory') return inode.mode;
  return withoutSetId(inode.mode);
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

export async function changeRow(
  context: Context,
  actor: Actor,
  path: Path,
  decide: (place: Place) => Partial<Inode>,
): Promise<Inode> {
  const attempt = async (debtor: Debtor): Promise<Inode | Owed | undefined> => {
    const chain = await resolve(context, actor, path);
    const place = chain.at(-1) as Place;
    // Under another name its object may be on its way to a key that this path does not tell.
    if (place.inode.links && place.origin && context.intents.keys.isPending(place.origin))
      return { owed: [place.origin] };
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
  return whenSettled(context, path, () => context.intents.owing(attempt));
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
