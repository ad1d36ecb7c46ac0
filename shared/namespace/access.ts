import { LeatError } from '../model/faults.ts';
import { STICKY } from '../model/mode-bits.ts';
import type { Inode } from '../model/inode.ts';
import { type Path, toText } from '../model/names.ts';
import { aclAllows } from './acl.ts';
import { type Context, mountedAt, type Place } from './context.ts';
import type { Actor } from './namespace.ts';
import { accessAclOf } from './row-acls.ts';

export const READ = 4;
export const WRITE = 2;
export const SEARCH = 1;
const GROUP_BITS = 0o070;

const SUPERUSER = 0;

/** Whoever works behind: what may be seen and done has been decided before. */
export const SELF: Actor = { uid: SUPERUSER, gid: 0, groups: [], checked: true };

export function isSuperuser(actor: Actor): boolean {
  return actor.uid === SUPERUSER;
}

export function isInGroup(actor: Actor, gid: number): boolean {
  return actor.gid === gid || actor.groups.includes(gid);
}

export function mayAccess(actor: Actor, inode: Inode, wanted: number): boolean {
  if (actor.checked || isSuperuser(actor)) return true;
  // As Linux: when nothing is left of the mask, no ACL is looked at, and who is not in the group is one of the others.
  const acl = inode.mode & GROUP_BITS ? accessAclOf(inode) : undefined;
  if (acl) return aclAllows(acl, inode, { uid: actor.uid, isInGroup: (gid) => isInGroup(actor, gid) }, wanted);
  const shift = actor.uid === inode.uid ? 6 : isInGroup(actor, inode.gid) ? 3 : 0;
  return ((inode.mode >> shift) & wanted) === wanted;
}

export function demandAccess(
  actor: Actor,
  place: { readonly path: Path; readonly inode: Inode },
  wanted: number,
): void {
  if (mayAccess(actor, place.inode, wanted)) return;
  const what = wanted === READ ? 'read' : wanted === SEARCH ? 'search' : 'write';
  const mode = place.inode.mode.toString(8).padStart(4, '0');
  throw new LeatError(
    'denied',
    `${toText(place.path)}: user ${actor.uid} may not ${what} it (mode ${mode}, owner ${place.inode.uid}:${place.inode.gid})`,
  );
}

/** Entries of a directory may be made and taken away. */
export function demandChange(context: Context, actor: Actor, directory: Place): void {
  demandWritable(context, directory);
  demandAccess(actor, directory, WRITE | SEARCH);
}

export function demandWritable(context: Context, place: Place): void {
  if (place.origin && mountedAt(context, place.origin.mount).mount.readOnly) {
    throw new LeatError(
      'readOnly',
      `${toText(place.path)}: its mount is read-only; mount it without --readonly to change it`,
    );
  }
}

/** In a sticky directory only the owner of the entry or of the directory takes an entry away. */
export function demandSticky(actor: Actor, directory: Place, entry: Place): void {
  if (!(directory.inode.mode & STICKY) || actor.checked || isSuperuser(actor)) return;
  if (actor.uid === entry.inode.uid || actor.uid === directory.inode.uid) return;
  throw new LeatError(
    'notPermitted',
    `${toText(entry.path)}: its directory is sticky and user ${actor.uid} owns neither`,
  );
}

export function demandOwner(actor: Actor, place: Place): void {
  if (actor.checked || isSuperuser(actor) || actor.uid === place.inode.uid) return;
  throw new LeatError('notPermitted', `${toText(place.path)}: only its owner (user ${place.inode.uid}) may do that`);
}

/** What concerns all users of a namespace; `what` they do in the plural. */
export function demandAdministrator({ owner }: Context, actor: Actor, what: string): void {
  if (isSuperuser(actor) || actor.uid === owner.uid) return;
  throw new LeatError('notPermitted', `only root and the user who runs the agent (${owner.uid}) ${what}`);
}
