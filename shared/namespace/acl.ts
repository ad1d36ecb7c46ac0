import { PERMISSIONS } from '../model/mode-bits.ts';

/**
 * POSIX ACLs (POSIX.1e draft 17, as Linux has them): pure, on values. A row keeps them among its xattrs in the kernel's own form,
 * so that a mount hands them on as they are: `u32 version 2`, then per entry `u16 tag · u16 bits · u32 id`, little-endian, in the
 * order of the tags.
 */
export const ACCESS_ACL = 'system.posix_acl_access';
/** Of directories only: what is made in them begins with it. */
export const DEFAULT_ACL = 'system.posix_acl_default';
/** The kernel reads and hands on no more than a page. */
export const ACL_BYTES_MAX = 4096;

const VERSION = 2;
const HEAD_BYTES = 4;
const ENTRY_BYTES = 8;
const NO_ID = 0xffff_ffff;
const RWX = 7;

const TAGS = { owner: 1, user: 2, owningGroup: 4, group: 8, mask: 16, other: 32 } as const;
type Tag = keyof typeof TAGS;

export interface AclEntry {
  readonly tag: Tag;
  /** Of a user or a group. */
  readonly id?: number;
  /** Read 4, write 2, search or execute 1. */
  readonly bits: number;
}

/** Ordered by tag, with one owner, owning group and others each, and a mask as soon as a user or a group is named. */
export type Acl = readonly AclEntry[];

/** Of a byte string. Undefined: malformed. An empty one has no entries, and says that there is none. */
export function parseAcl(value: string): Acl | undefined {
  const bytes = Uint8Array.from(value, (char) => char.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  if (bytes.length < HEAD_BYTES || view.getUint32(0, true) !== VERSION) return undefined;
  if ((bytes.length - HEAD_BYTES) % ENTRY_BYTES !== 0) return undefined;
  const entries: AclEntry[] = [];
  for (let at = HEAD_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const tag = tagOf(view.getUint16(at, true));
    const bits = view.getUint16(at + 2, true);
    if (!tag || (bits & ~RWX) !== 0) return undefined;
    const isNamed = tag === 'user' || tag === 'group';
    const id = view.getUint32(at + 4, true);
    if (isNamed && id === NO_ID) return undefined;
    entries.push({ tag, bits, ...(isNamed && { id }) });
  }
  return entries.length === 0 || isWellFormed(entries) ? entries : undefined;
}

export function encodeAcl(acl: Acl): string {
  const bytes = new Uint8Array(HEAD_BYTES + acl.length * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, VERSION, true);
  acl.forEach(({ tag, bits, id = NO_ID }, i) => {
    const at = HEAD_BYTES + i * ENTRY_BYTES;
    view.setUint16(at, TAGS[tag], true);
    view.setUint16(at + 2, bits, true);
    view.setUint32(at + 4, id, true);
  });
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

const tagOf = (number: number): Tag | undefined => (Object.keys(TAGS) as Tag[]).find((tag) => TAGS[tag] === number);

function isWellFormed(acl: Acl): boolean {
  const count = (wanted: Tag) => acl.filter(({ tag }) => tag === wanted).length;
  const isOrdered = acl.every(({ tag }, i) => TAGS[tag] >= TAGS[acl[i - 1]?.tag ?? 'owner']);
  const masks = count('mask');
  const isMasked = masks === 1 || (masks === 0 && !isExtended(acl));
  return isOrdered && isMasked && count('owner') === 1 && count('owningGroup') === 1 && count('other') === 1;
}

/** False: it says no more than a mode does. */
export function isExtended(acl: Acl): boolean {
  return acl.some(({ tag }) => tag === 'user' || tag === 'group' || tag === 'mask');
}

const bitsOf = (acl: Acl, wanted: Tag): number | undefined => acl.find(({ tag }) => tag === wanted)?.bits;

/** What `ls` shows of it: the mask, where there is one, stands where the group's bits do. */
export function permissionsOf(acl: Acl): number {
  const group = bitsOf(acl, 'mask') ?? bitsOf(acl, 'owningGroup') ?? 0;
  return ((bitsOf(acl, 'owner') ?? 0) << 6) | (group << 3) | (bitsOf(acl, 'other') ?? 0);
}

/** After a chmod: the group's bits of the mode are the mask, where there is one. */
export function withPermissions(acl: Acl, mode: number): Acl {
  const groupTag = acl.some(({ tag }) => tag === 'mask') ? 'mask' : 'owningGroup';
  const shifts: Partial<Record<Tag, number>> = { owner: 6, [groupTag]: 3, other: 0 };
  return acl.map((entry) => {
    const shift = shifts[entry.tag];
    return shift === undefined ? entry : { ...entry, bits: (mode >> shift) & RWX };
  });
}

/** What is made with this mode in a directory with this default ACL gets: never more than the mode asks for. */
export function inheritedAcl(byDefault: Acl, mode: number): Acl {
  return withPermissions(byDefault, permissionsOf(byDefault) & mode & PERMISSIONS);
}

interface Holder {
  readonly uid: number;
  readonly gid: number;
}

export interface Claimant {
  readonly uid: number;
  isInGroup(gid: number): boolean;
}

/**
 * The first of these that applies decides: owner; named user; the groups that one is in, of which one has to allow all that is
 * wanted; others. What is named, and the group, get no more than the mask.
 */
export function aclAllows(acl: Acl, holder: Holder, who: Claimant, wanted: number): boolean {
  const allows = (bits: number) => (bits & wanted) === wanted;
  const mask = bitsOf(acl, 'mask') ?? RWX;
  if (who.uid === holder.uid) return allows(bitsOf(acl, 'owner') ?? 0);
  const user = acl.find(({ tag, id }) => tag === 'user' && id === who.uid);
  if (user) return allows(user.bits & mask);
  const groups = acl.filter(({ tag, id }) => {
    if (tag === 'owningGroup') return who.isInGroup(holder.gid);
    return tag === 'group' && id !== undefined && who.isInGroup(id);
  });
  if (groups.length > 0) return groups.some(({ bits }) => allows(bits & mask));
  return allows(bitsOf(acl, 'other') ?? 0);
}
