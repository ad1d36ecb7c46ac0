import { describe, expect, it } from 'vitest';
import { sequentialId } from '#shared/model/ids.ts';
import type { Inode, Nanos } from '#shared/model/inode.ts';
import { attributesAt, encodeRow, type HotAttributes } from '#shared/model/row-codec.ts';
import { ChangedDirectories } from './changed-directories.ts';

const ID = sequentialId(7);
const SECOND = 1_000_000_000n;

function row(mtime: Nanos, ctime: Nanos): HotAttributes {
  const times = { atime: 1n, mtime, ctime };
  const inode: Inode = {
    kind: 'directory',
    id: ID,
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: 0,
    ...times,
    version: 1,
    generation: 0,
  };
  return attributesAt(encodeRow(inode)) as HotAttributes;
}

const mtimeOf = ({ mtimeSeconds, mtimeNanos }: HotAttributes) => BigInt(mtimeSeconds) * SECOND + BigInt(mtimeNanos);
const ctimeOf = ({ ctimeSeconds, ctimeNanos }: HotAttributes) => BigInt(ctimeSeconds) * SECOND + BigInt(ctimeNanos);
const now = () => BigInt(Date.now() - 1) * 1_000_000n;

describe('a directory that has been changed here', () => {
  it('shows it before its row does, and not one that has not been changed', () => {
    const changes = new ChangedDirectories();
    const before = now();
    changes.changed(ID);
    const shown = changes.shown(ID, row(5n, 6n));
    expect([mtimeOf(shown) > before, ctimeOf(shown)]).toEqual([true, mtimeOf(shown)]);
    expect(changes.shown(sequentialId(8), row(5n, 6n))).toEqual(row(5n, 6n));
  });

  it('shows the later of two times that its row got since', () => {
    const changes = new ChangedDirectories();
    changes.changed(ID);
    const later = 2n ** 33n * SECOND - 1n;
    const shown = changes.shown(ID, row(5n, later));
    expect([mtimeOf(shown) > 5n, ctimeOf(shown)]).toEqual([true, later]);
  });

  it('is as its row says once that has caught up, or its times were set by hand', () => {
    const changes = new ChangedDirectories();
    changes.changed(ID);
    const caughtUp = row(2n ** 32n * SECOND, 2n ** 32n * SECOND);
    expect(changes.shown(ID, caughtUp)).toEqual(caughtUp);
    expect(changes.shown(ID, row(5n, 6n))).toEqual(row(5n, 6n));
    changes.changed(ID);
    changes.timesSet(ID);
    expect(changes.shown(ID, row(5n, 6n))).toEqual(row(5n, 6n));
  });
});
