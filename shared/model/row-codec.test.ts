import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type InodeId, inodeNumber } from './ids.ts';
import { type Inode, type Row, TIME_MAX, TIME_MIN } from './inode.ts';
import { attributesAt, decodeRow, encodeRow, idAt } from './row-codec.ts';

const byteString = (lengths: fc.StringConstraints) =>
  fc.string({ unit: fc.constantFrom('\0', '/', 'a', 'Z', '\x7f', '\x80', '\xff'), ...lengths });
const id = fc.constantFrom(6, 16).chain((length) => byteString({ minLength: length, maxLength: length }));
const u32 = fc.oneof(fc.nat(9), fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1));
const time = fc.oneof(
  fc.constantFrom(0n, -1n, 1n, -1_000_000_000n, -999_999_999n, 999_999_999n, TIME_MIN, TIME_MAX),
  fc.bigInt({ min: TIME_MIN, max: TIME_MAX }),
);
const fingerprint = fc.oneof(byteString({ maxLength: 40 }), fc.constant('0123456789abcdef'.repeat(2)));
const someTimes = fc.tuple(time, time, time, fc.boolean()).map(([mtime, atime, ctime, areEqual]) => ({
  mtime,
  atime: areEqual ? mtime : atime,
  ctime: areEqual ? mtime : ctime,
}));

const needed = {
  kind: fc.constantFrom('file', 'directory', 'symlink', 'fifo', 'socket', 'character', 'block'),
  id,
  mode: fc.constantFrom(0, 0o644, 0o7777),
  uid: u32,
  gid: u32,
  size: fc.constantFrom(0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
  version: u32,
  generation: u32,
};
const optional = {
  bornAt: fc.constantFrom(0, 1.5, 2 ** 42),
  listedAt: fc.constantFrom(0, 2.25, 2 ** 42),
  fingerprint,
  origin: fc.record({ mount: byteString({ maxLength: 9 }), key: byteString({ maxLength: 300 }) }),
  mount: byteString({ maxLength: 9 }),
  target: byteString({ maxLength: 300 }),
  xattrs: fc.dictionary(
    byteString({ maxLength: 9 }).map((name) => `user.${name}`),
    byteString({ maxLength: 99 }),
    { noNullPrototype: true },
  ),
  closing: fc.record({ token: byteString({ maxLength: 9 }), until: fc.constantFrom(0, 2 ** 42) }),
  dirty: fc.record({ holder: byteString({ maxLength: 9 }) }),
  device: u32,
  links: fc.array(fc.record({ directory: id, name: byteString({ maxLength: 255 }) }), { maxLength: 5 }),
  quota: fc.record({ bytes: fc.nat(), entries: fc.nat() }, { requiredKeys: [] }),
};
const fields = Object.keys(needed) as (keyof typeof needed)[];
const inode = fc
  .tuple(fc.record({ ...needed, ...optional }, { requiredKeys: fields }), someTimes)
  .map(([rest, times]) => ({ ...rest, ...times }) as unknown as Inode);
const record = fc.record(
  {
    kind: fc.constant('record' as const),
    version: u32,
    body: fc.string({ unit: fc.constantFrom('{', '"', '\0', 'é', '€', '😀', '\xff') }),
    expiresAt: fc.constantFrom(0, 2 ** 42 + 0.5),
  },
  { requiredKeys: ['kind', 'version', 'body'] },
);
const row: fc.Arbitrary<Row> = fc.oneof({ weight: 4, arbitrary: inode }, { weight: 1, arbitrary: record });

const secondsOf = (nanos: bigint) => Number((nanos - BigInt(nanosOf(nanos))) / 1_000_000_000n);
const nanosOf = (nanos: bigint) => Number(((nanos % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n);

/** Somewhere in the middle of a buffer, as rows lie in the pages of LMDB. */
function elsewhere(bytes: Uint8Array): Uint8Array {
  const page = new Uint8Array(bytes.length + 8).fill(0xa5);
  page.set(bytes, 3);
  return page.subarray(3, 3 + bytes.length);
}

describe('the row codec', () => {
  it('gives back what it was given', () => {
    fc.assert(
      fc.property(row, (given) => {
        expect(decodeRow(elsewhere(encodeRow(given)))).toEqual(given);
      }),
      { numRuns: 2000 },
    );
  });

  it('reads the attributes and the id of a row as the whole row has them', () => {
    fc.assert(
      fc.property(inode, (given) => {
        const bytes = elsewhere(encodeRow(given));
        expect(idAt(bytes)).toBe(given.id);
        expect(attributesAt(bytes)).toEqual({
          kind: given.kind,
          mode: given.mode,
          uid: given.uid,
          gid: given.gid,
          size: given.size,
          generation: given.generation,
          inodeNumber: inodeNumber(given.id),
          mtimeSeconds: secondsOf(given.mtime),
          mtimeNanos: nanosOf(given.mtime),
          atimeSeconds: secondsOf(given.atime),
          atimeNanos: nanosOf(given.atime),
          ctimeSeconds: secondsOf(given.ctime),
          ctimeNanos: nanosOf(given.ctime),
          hasXattrs: given.xattrs !== undefined,
          bornAt: given.bornAt,
          isClosing: given.closing !== undefined,
          isDirty: given.dirty !== undefined,
          listedAt: given.listedAt,
          isMountPoint: given.mount !== undefined,
          links: given.links?.length ?? 1,
          names: given.links ?? [],
          device: given.device ?? 0,
        });
      }),
      { numRuns: 1000 },
    );
    expect(attributesAt(encodeRow({ kind: 'record', version: 1, body: '{}' }))).toBeUndefined();
  });

  it('keeps the nearest time that fits', () => {
    const given = { ...FROZEN_ROW, mtime: 10n ** 20n, atime: -(10n ** 20n) };
    expect(decodeRow(encodeRow(given))).toEqual({ ...given, mtime: TIME_MAX, atime: TIME_MIN });
  });

  it('refuses a row of a newer version, of an unknown kind, cut short, or empty', () => {
    for (const given of [FROZEN_ROW, { kind: 'record', version: 1, body: '{}' }] satisfies Row[]) {
      const newer = encodeRow(given);
      newer[0] = 2;
      const strange = encodeRow(given);
      strange[1] = 200;
      const short = encodeRow(FROZEN_ROW).subarray(0, -1);
      for (const bytes of [newer, strange, short, new Uint8Array()]) {
        expect(() => decodeRow(bytes)).toThrow(expect.objectContaining({ kind: 'corrupt' }));
      }
      for (const bytes of [newer, strange]) {
        expect(() => attributesAt(bytes)).toThrow(expect.objectContaining({ kind: 'corrupt' }));
      }
    }
  });

  // These bytes are on disks. When the codec changes they stay, and those of the version before join them.
  it('reads for ever what version 1 has written', () => {
    expect(decodeRow(Buffer.from(FROZEN_BYTES, 'hex'))).toEqual(FROZEN_ROW);
    expect(decodeRow(Buffer.from(FROZEN_RECORD, 'hex'))).toEqual({ kind: 'record', version: 7, body: '{"a":"é"}' });
    expect(Buffer.from(encodeRow(FROZEN_ROW)).toString('hex')).toBe(FROZEN_BYTES);
  });
});

const FROZEN_ROW = {
  kind: 'directory',
  id: '\0\0\0\0\x12\xff' as InodeId,
  mode: 0o2755,
  uid: 1000,
  gid: 4_294_967_295,
  size: 0,
  atime: -1n,
  mtime: 1_700_000_000_123_456_789n,
  ctime: 1_700_000_001_000_000_000n,
  bornAt: 1_700_000_000_000.5,
  listedAt: 1_700_000_000_001,
  version: 9,
  generation: 3,
  fingerprint: '0123456789abcdef0123456789abcdef',
  origin: { mount: 'm1', key: 'a/\xff' },
  mount: 'm2',
  target: 't',
  xattrs: { 'user.a': '\0\x80', 'user.b': '' },
  closing: { token: 'tok', until: 1_700_000_010_000 },
} as unknown as Inode;

const FROZEN_BYTES = [
  '0101ed05de0f0000e8030000ffffffff0000000000000000090000000300000015cd5b0740fc54190000000012ffffc9',
  '9afbffffffff0000004040fc541900088056febc784200108056febc78420123456789abcdef0123456789abcdef0200',
  '00006d3103000000612fff020000006d320100000074000000000000004006000000757365722e610200000000800600',
  '0000757365722e620000000003000000746f6b0000f158febc7842',
].join('');
const FROZEN_RECORD = '01030000070000007b2261223a22c3a9227d';
