import { constants } from 'node:fs';
import fc from 'fast-check';

/** What may be done in a folder, by one of two processes. Handles are slots, so that an act makes sense after whatever came before. */
export type FileAct = { readonly do: string; readonly by: number } & Readonly<Record<string, unknown>>;

const MIB = 2 ** 20;
export const PROCESSES = 2;
const SLOTS = 2;
/** Few, so that acts meet. `stored` and `large` are there before, in the store. */
const FILES = ['a', 'b', 'stored', 'large', 'd/a', 'd/b', 'd/e/a'];
const DIRECTORIES = ['d', 'd/e', 'x'];
const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND } = constants;
const RENAME_NOREPLACE = 1;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const ZERO_RANGE = 16;

const file = fc.constantFrom(...FILES);
const directory = fc.constantFrom(...DIRECTORIES);
const any = fc.oneof({ weight: 4, arbitrary: file }, { weight: 1, arbitrary: directory });
const slot = fc.nat(SLOTS - 1);
const fill = fc.nat(999);
/** Anywhere near the start, and right around the borders of blocks and of cache pages. */
const offset = fc.oneof(
  fc.nat(10_000),
  fc
    .tuple(fc.constantFrom(4096, 8192, 65_536, MIB, 2 * MIB, 3 * MIB), fc.integer({ min: -2, max: 2 }))
    .map(([at, by]) => at + by),
);
const size = fc.oneof(
  { weight: 4, arbitrary: fc.nat(5000) },
  { weight: 2, arbitrary: fc.constantFrom(1, 4096, 8192, 65_536, 70_001, 300_000) },
  { weight: 1, arbitrary: fc.constantFrom(MIB, MIB + 1, 1_500_000) },
);
const mode = fc.constantFrom(0o644, 0o600, 0o444, 0o755, 0o4755, 0o1777, 0);
const flags = fc
  .tuple(
    fc.constantFrom(O_RDWR, O_RDWR, O_RDWR, O_WRONLY, O_RDONLY),
    fc.constantFrom(0, O_CREAT, O_CREAT, O_CREAT, O_CREAT | O_EXCL),
    fc.constantFrom(0, 0, 0, O_TRUNC),
    fc.constantFrom(0, 0, O_APPEND),
  )
  .map((parts) => parts.reduce((all, part) => all | part, 0));
/** Long gone, so that nobody takes it for the time of a change. */
const time = fc.integer({ min: 0, max: 10 ** 15 });

type Fields = Readonly<Record<string, fc.Arbitrary<unknown>>>;

const act = (weight: number, name: string, fields: Fields) => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(name), by: fc.nat(PROCESSES - 1), ...fields }),
});

export const fileAct: fc.Arbitrary<FileAct> = fc.oneof(
  act(12, 'open', { slot, path: file, flags, mode }),
  act(2, 'close', { slot }),
  act(12, 'write', { slot, offset: fc.option(offset), size, fill }),
  act(4, 'read', { slot, offset: fc.option(offset), size }),
  act(2, 'seek', { slot, offset, from: fc.constantFrom(0, 2) }),
  act(5, 'truncate', { slot, size: offset }),
  act(3, 'truncatePath', { path: any, size: offset }),
  act(4, 'allocate', {
    slot,
    mode: fc.constantFrom(0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE),
    offset,
    size,
  }),
  act(2, 'sync', { slot, onlyData: fc.boolean() }),
  act(1, 'size', { slot }),
  act(1, 'links', { slot }),
  act(1, 'unmap', { slot }),
  act(6, 'mapWrite', { slot, offset, size, fill, sync: fc.boolean() }),
  act(3, 'mapRead', { slot, offset, size }),
  act(4, 'copyRange', { from: slot, to: slot, size, offset, at: offset }),
  act(5, 'rename', { path: any, to: any, flags: fc.constantFrom(0, 0, 0, RENAME_NOREPLACE) }),
  act(4, 'unlink', { path: any }),
  act(4, 'link', { path: any, to: any }),
  act(2, 'symlink', { path: any, target: fc.constantFrom('a', 'stored', 'nowhere', 'd', 'd/a') }),
  act(3, 'mkdir', { path: directory, mode: fc.constantFrom(0o755, 0o700) }),
  act(2, 'rmdir', { path: fc.oneof({ weight: 3, arbitrary: directory }, { weight: 1, arbitrary: file }) }),
  act(2, 'chmod', { path: any, mode: mode.filter((one) => one !== 0o4755) }),
  act(1, 'fchmod', { slot, mode }),
  act(2, 'utimes', { path: any, atime: time, mtime: time }),
  act(1, 'xattr', {
    path: file,
    name: fc.constantFrom('user.k', 'user.l'),
    value: fc.option(fc.constantFrom('', 'v', 'w')),
  }),
);

/** What every run begins with: something in every slot, some of it the same file. */
export const FIRST_ACTS: readonly FileAct[] = [
  { do: 'mkdir', by: 0, path: 'd', mode: 0o755 },
  { do: 'mkdir', by: 1, path: 'd/e', mode: 0o755 },
  { do: 'open', by: 0, slot: 0, path: 'stored', flags: O_RDWR, mode: 0 },
  { do: 'open', by: 1, slot: 0, path: 'stored', flags: O_RDWR | O_APPEND, mode: 0 },
  { do: 'open', by: 0, slot: 1, path: 'd/a', flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o644 },
  { do: 'open', by: 1, slot: 1, path: 'large', flags: O_RDWR, mode: 0 },
];
