import { LeatError } from '../model/faults.ts';
import type { Inode } from '../model/inode.ts';
import { SETGID, STICKY } from '../model/mode-bits.ts';
import { type Path, toText } from '../model/names.ts';
import { demandAccess, demandOwner, isInGroup, isSuperuser, WRITE } from './access.ts';
import { ACCESS_ACL, ACL_BYTES_MAX, DEFAULT_ACL, parseAcl } from './acl.ts';
import { changeRow } from './attributes.ts';
import { type Context, nanosOf, type Place } from './context.ts';
import type { Actor } from './namespace.ts';
import { permissionsBy } from './row-acls.ts';
import { demandWriteTypeXattr } from './write-types.ts';

const NAME_BYTES_MAX = 255;
const VALUE_BYTES_MAX = 64 * 1024;
const BYTES_MAX = 128 * 1024;

interface NewXattr {
  readonly name: string;
  readonly value: string;
  readonly mode: 'set' | 'create' | 'replace';
}

const isAcl = (name: string): boolean => name === ACCESS_ACL || name === DEFAULT_ACL;

export async function setXattr(
  context: Context,
  actor: Actor,
  path: Path,
  { name, value, mode }: NewXattr,
): Promise<Inode> {
  demandName(actor, path, name);
  const max = isAcl(name) ? ACL_BYTES_MAX : VALUE_BYTES_MAX;
  if (value.length > max)
    throw new LeatError('tooLarge', `${toText(path)}: a value of ${name} of ${value.length} bytes, over ${max}`);
  return changeRow(context, actor, path, (place) => {
    demandChangeable(actor, place, name);
    demandWriteTypeXattr(path, place.inode, name, value);
    const old = place.inode.xattrs ?? {};
    const has = Object.hasOwn(old, name);
    if (mode === 'create' && has) throw new LeatError('exists', `${toText(path)}: attribute ${name} exists`);
    if (mode === 'replace' && !has) throw noAttribute(path, name);
    const change = isAcl(name) ? withAcl(actor, place, { name, value }) : { xattrs: { ...old, [name]: value } };
    const bytes = Object.entries(change.xattrs ?? {}).reduce((sum, [key, text]) => sum + key.length + text.length, 0);
    if (bytes > BYTES_MAX)
      throw new LeatError('noSpace', `${toText(path)}: extended attributes of ${bytes} bytes, over ${BYTES_MAX}`);
    return { ...change, ctime: nanosOf(context.clock()) };
  });
}

export async function removeXattr(context: Context, actor: Actor, path: Path, name: string): Promise<Inode> {
  demandName(actor, path, name);
  return changeRow(context, actor, path, (place) => {
    demandChangeable(actor, place, name);
    const { [name]: gone, ...xattrs } = place.inode.xattrs ?? {};
    if (gone === undefined) throw noAttribute(path, name);
    return { xattrs, ctime: nanosOf(context.clock()) };
  });
}

/** An ACL without entries takes away the one that is there. */
function withAcl(
  actor: Actor,
  { path, inode }: Place,
  { name, value }: Pick<NewXattr, 'name' | 'value'>,
): Pick<Inode, 'mode' | 'xattrs'> {
  const acl = parseAcl(value);
  if (!acl) {
    const wanted = 'entries of owner, group, others and, when more are named, a mask, in the order of their tags';
    throw new LeatError('invalid', `${toText(path)}: this is no ACL; give ${wanted}`);
  }
  if (name === DEFAULT_ACL) {
    if (inode.kind !== 'directory')
      throw new LeatError('denied', `${toText(path)}: only directories have a default ACL; set the access ACL`);
    const { [DEFAULT_ACL]: _, ...others } = inode.xattrs ?? {};
    return { mode: inode.mode, xattrs: acl.length === 0 ? others : { ...others, [DEFAULT_ACL]: value } };
  }
  const { mode, xattrs = {} } = permissionsBy(inode, acl);
  const mayKeep = actor.checked || isSuperuser(actor) || isInGroup(actor, inode.gid);
  return { mode: mayKeep ? mode : mode & ~SETGID, xattrs };
}

const noAttribute = (path: Path, name: string) =>
  new LeatError('noAttribute', `${toText(path)}: has no attribute ${name}`);

function demandName(actor: Actor, path: Path, name: string): void {
  const isKnown = name.startsWith('user.') || name.startsWith('trusted.') || isAcl(name);
  if (!isKnown)
    throw new LeatError(
      'unsupported',
      `${toText(path)}: attributes are kept in user.* and trusted.*, and ACLs; not ${toText(name)}`,
    );
  if (name.length > NAME_BYTES_MAX)
    throw new LeatError('nameTooLong', `${toText(path)}: an attribute's name has at most ${NAME_BYTES_MAX} bytes`);
  if (name.startsWith('trusted.') && !isSuperuser(actor))
    throw new LeatError('notPermitted', `${toText(path)}: only root sets trusted.*`);
}

/** As the kernel: those of a user are for contents, ACLs for what has a mode of its own. */
function demandChangeable(actor: Actor, place: Place, name: string): void {
  const { kind, mode } = place.inode;
  if (isAcl(name)) {
    if (kind === 'symlink')
      throw new LeatError('unsupported', `${toText(place.path)}: a symlink has no ACL; set that of what it names`);
    return demandOwner(actor, place);
  }
  if (!name.startsWith('user.')) return;
  if (kind !== 'file' && kind !== 'directory')
    throw new LeatError('notPermitted', `${toText(place.path)}: only files and directories have user.* attributes`);
  // Who may make files in /tmp does not mark it for everybody.
  if (kind === 'directory' && mode & STICKY) demandOwner(actor, place);
  demandAccess(actor, place, WRITE);
}
