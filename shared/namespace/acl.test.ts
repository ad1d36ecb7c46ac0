import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Acl,
  aclAllows,
  type AclEntry,
  encodeAcl,
  inheritedAcl,
  isExtended,
  parseAcl,
  permissionsOf,
  withPermissions,
} from './acl.ts';

const bits = fc.nat(7);
const ids = fc.uniqueArray(fc.nat(5), { maxLength: 3 });
const mode = fc.nat(0o777);

/** Any that Linux accepts, of few users and groups, so that they meet. */
const acl: fc.Arbitrary<Acl> = fc
  .record({ users: ids, groups: ids, isMasked: fc.boolean(), all: fc.array(bits, { minLength: 10, maxLength: 10 }) })
  .map(({ users, groups, isMasked, all }) => {
    const next = all.values();
    const entry = (tag: AclEntry['tag'], id?: number): AclEntry => ({
      tag,
      ...(id !== undefined && { id }),
      bits: next.next().value ?? 0,
    });
    const needsMask = isMasked || users.length + groups.length > 0;
    return [
      entry('owner'),
      ...users.toSorted((a, b) => a - b).map((id) => entry('user', id)),
      entry('owningGroup'),
      ...groups.toSorted((a, b) => a - b).map((id) => entry('group', id)),
      ...(needsMask ? [entry('mask')] : []),
      entry('other'),
    ];
  });

const world = fc.record({
  acl,
  holder: fc.record({ uid: fc.nat(5), gid: fc.nat(5) }),
  uid: fc.nat(5),
  groups: ids,
  wanted: fc.integer({ min: 1, max: 7 }),
});

/** The rule of acl(5), told as it stands there, one entry after the other. */
function allowsByTheBook({
  acl: entries,
  holder,
  uid,
  groups,
  wanted,
}: typeof world extends fc.Arbitrary<infer W> ? W : never) {
  const mask = entries.find(({ tag }) => tag === 'mask')?.bits ?? 7;
  let isInAnyGroup = false;
  for (const { tag, id, bits: allowed } of entries) {
    if (tag === 'owner' && uid === holder.uid) return (allowed & wanted) === wanted;
    if (tag === 'user' && uid === id) return (allowed & mask & wanted) === wanted;
    const isMember =
      (tag === 'owningGroup' && groups.includes(holder.gid)) || (tag === 'group' && groups.includes(id ?? -1));
    isInAnyGroup ||= isMember;
    if (isMember && (allowed & wanted) === wanted) return (mask & wanted) === wanted;
    if (tag === 'other') return !isInAnyGroup && (allowed & wanted) === wanted;
  }
  return false;
}

const who = (uid: number, groups: readonly number[]) => ({ uid, isInGroup: (gid: number) => groups.includes(gid) });

describe('an ACL', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(acl, (each) => {
        expect(parseAcl(encodeAcl(each))).toEqual(each);
      }),
    );
  });

  it('has the form of the kernel', () => {
    const user = { tag: 'user', id: 1000, bits: 6 } as const;
    const rest = [
      { tag: 'owningGroup', bits: 4 },
      { tag: 'mask', bits: 6 },
      { tag: 'other', bits: 0 },
    ] as const;
    const kernel = '0200000001000700ffffffff02000600e803000004000400ffffffff10000600ffffffff20000000ffffffff';
    const value = encodeAcl([{ tag: 'owner', bits: 7 }, user, ...rest]);
    expect(Buffer.from(value, 'latin1').toString('hex')).toBe(kernel);
    expect(parseAcl('\x02\0\0\0')).toEqual([]);
  });

  it.each([
    ['nothing at all', ''],
    ['another version', '01000000'],
    ['half an entry', '0200000001000700'],
    ['an unknown tag', '02000000030007000000000004000400ffffffff20000000ffffffff'],
    ['unknown bits', '0200000001000f00ffffffff04000400ffffffff20000000ffffffff'],
    ['no owner', '0200000004000400ffffffff20000000ffffffff'],
    ['two owners', '0200000001000700ffffffff01000700ffffffff04000400ffffffff20000000ffffffff'],
    ['no others', '0200000001000700ffffffff04000400ffffffff'],
    ['the wrong order', '0200000001000700ffffffff20000000ffffffff04000400ffffffff'],
    ['a user without a mask', '0200000001000700ffffffff02000600e803000004000400ffffffff20000000ffffffff'],
    ['nobody as a user', '0200000001000700ffffffff02000600ffffffff04000400ffffffff10000600ffffffff20000000ffffffff'],
  ])('is refused when it has %s', (_, hex) => {
    expect(parseAcl(Buffer.from(hex, 'hex').toString('latin1'))).toBeUndefined();
  });

  it('allows what acl(5) says', () => {
    fc.assert(
      fc.property(world, (each) => {
        const { holder, uid, groups, wanted } = each;
        expect(aclAllows(each.acl, holder, who(uid, groups), wanted)).toBe(allowsByTheBook(each));
      }),
    );
  });

  it('that names nobody allows what the mode does', () => {
    fc.assert(
      fc.property(world, mode, ({ holder, uid, groups, wanted }, permissions) => {
        const plain: Acl = [
          { tag: 'owner', bits: permissions >> 6 },
          { tag: 'owningGroup', bits: (permissions >> 3) & 7 },
          { tag: 'other', bits: permissions & 7 },
        ];
        const shift = uid === holder.uid ? 6 : groups.includes(holder.gid) ? 3 : 0;
        expect(isExtended(plain)).toBe(false);
        expect(permissionsOf(plain)).toBe(permissions);
        expect(aclAllows(plain, holder, who(uid, groups), wanted)).toBe(((permissions >> shift) & wanted) === wanted);
      }),
    );
  });

  it('follows a chmod, which gives a named user or group no more than it gives the group', () => {
    fc.assert(
      fc.property(world, mode, ({ acl: before, holder, uid, groups, wanted }, permissions) => {
        const after = withPermissions(before, permissions);
        expect(permissionsOf(after)).toBe(permissions);
        const isNamed = uid !== holder.uid && after.some(({ tag, id }) => tag === 'user' && id === uid);
        const isAllowed = aclAllows(after, holder, who(uid, groups), wanted);
        expect(isNamed && isAllowed && ((permissions >> 3) & wanted) !== wanted).toBe(false);
      }),
    );
  });

  it('is inherited with no more than the mode asks for, and keeps whom it names', () => {
    fc.assert(
      fc.property(acl, mode, (byDefault, permissions) => {
        const born = inheritedAcl(byDefault, permissions);
        expect(permissionsOf(born) & ~permissions).toBe(0);
        expect(permissionsOf(born)).toBe(permissionsOf(byDefault) & permissions);
        expect(born.map(({ tag, id }) => [tag, id])).toEqual(byDefault.map(({ tag, id }) => [tag, id]));
        expect(inheritedAcl(byDefault, 0o777)).toEqual(byDefault);
      }),
    );
  });
});
