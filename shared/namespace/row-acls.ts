import type { Inode, InodeKind } from '../model/inode.ts';
import { PERMISSIONS } from '../model/mode-bits.ts';
import {
  ACCESS_ACL,
  type Acl,
  DEFAULT_ACL,
  encodeAcl,
  inheritedAcl,
  isExtended,
  parseAcl,
  permissionsOf,
  withPermissions,
} from './acl.ts';

/** What an ACL and a mode say of the same thing they say alike: both change together, here. */
type Permissions = Pick<Inode, 'mode' | 'xattrs'>;

/** Undefined: the mode is all there is to say. */
export function accessAclOf({ xattrs }: Pick<Inode, 'xattrs'>): Acl | undefined {
  const value = xattrs?.[ACCESS_ACL];
  return value === undefined ? undefined : parseAcl(value);
}

/** A new entry's. The umask is for directories that have no default ACL; symlinks take no notice of either. */
export function permissionsInside(
  directory: Pick<Inode, 'xattrs'>,
  { kind, mode, umask = 0 }: { readonly kind: InodeKind; readonly mode: number; readonly umask?: number },
): Permissions {
  const value = directory.xattrs?.[DEFAULT_ACL];
  const byDefault = value === undefined || kind === 'symlink' ? undefined : parseAcl(value);
  if (value === undefined || !byDefault) return { mode: kind === 'symlink' ? mode : mode & ~(umask & PERMISSIONS) };
  const acl = inheritedAcl(byDefault, mode);
  const xattrs = {
    ...(isExtended(acl) && { [ACCESS_ACL]: encodeAcl(acl) }),
    ...(kind === 'directory' && { [DEFAULT_ACL]: value }),
  };
  const own = (mode & ~PERMISSIONS) | permissionsOf(acl);
  return { mode: own, ...(Object.keys(xattrs).length > 0 && { xattrs }) };
}

/** Of what is there, with another mode. */
export function permissionsWith(inode: Permissions, mode: number): Permissions {
  const acl = accessAclOf(inode);
  if (!acl) return { mode };
  return { mode, xattrs: { ...inode.xattrs, [ACCESS_ACL]: encodeAcl(withPermissions(acl, mode)) } };
}

/** With another access ACL, which is not kept when a mode says as much. */
export function permissionsBy(inode: Permissions, acl: Acl): Permissions {
  const { [ACCESS_ACL]: _, ...others } = inode.xattrs ?? {};
  const mode = acl.length === 0 ? inode.mode : (inode.mode & ~PERMISSIONS) | permissionsOf(acl);
  return { mode, xattrs: isExtended(acl) ? { ...others, [ACCESS_ACL]: encodeAcl(acl) } : others };
}
