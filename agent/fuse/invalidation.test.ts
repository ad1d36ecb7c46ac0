import { describe, expect, it } from 'vitest';
import { ABOVE_ROOT, type InodeId, sequentialId } from '#shared/model/ids.ts';
import type { Inode, Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import { changedRows, noticeOf } from './invalidation.ts';
import { Node, Nodes, ROOT_NODE } from './nodes.ts';

const name = (text: string) => text as Name;
const forged = (tail: string): InodeId => `same bits${tail}`.padEnd(16, '-') as InodeId;
const ROOT_ID = sequentialId(1);

const inode = (kind: Inode['kind'], tail: string, patch: Partial<Inode> = {}): Inode => ({
  kind,
  id: forged(tail),
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  atime: 1n,
  mtime: 1n,
  ctime: 1n,
  version: 1,
  generation: kind === 'directory' ? 0 : 1,
  ...patch,
});

/** `/d` and `/e` are known to the kernel, and `/d/f`; their ids begin alike. */
function stage() {
  const nodes = new Nodes(new Node(ROOT_NODE, { inodeId: ROOT_ID, generation: 0 }, undefined, name('')), () => {});
  const look = (parent: Node, { kind, id, generation }: Inode, at: string) =>
    nodes.looked(parent, name(at), { inodeId: id, generation: kind === 'directory' ? 0 : generation });
  const d = look(nodes.root, inode('directory', 'd'), 'd');
  const e = look(nodes.root, inode('directory', 'e'), 'e');
  const f = look(d, inode('file', 'f'), 'f');
  const tell = (directory: InodeId, at: string, before: Row | undefined, after: Row | undefined) =>
    changedRows([{ key: { directory, name: name(at) }, before, after }]).map((row) => noticeOf(nodes, row));
  return { nodes, d, e, f, tell };
}

describe('what others change', () => {
  it('may be a time that was set by hand', () => {
    const key = { directory: ROOT_ID, name: name('d') };
    const before = inode('directory', 'd');
    const setBy = (patch: Partial<Inode>) =>
      changedRows([{ key, before, after: { ...before, ...patch } }]).map(({ hasSetTime }) => hasSetTime);
    expect(setBy({ mtime: 5n, ctime: 6n })).toEqual([true]);
    expect(setBy({ mtime: 6n, ctime: 6n })).toEqual([false]);
    expect(setBy({ ctime: 6n })).toEqual([false]);
  });

  it('makes the kernel forget names that lead elsewhere or nowhere, in the right directory', () => {
    const { d, e, tell } = stage();
    expect(tell(forged('d'), 'f', inode('file', 'f'), undefined)).toEqual([{ entry: { parent: d.id, name: 'f' } }]);
    expect(tell(forged('e'), 'g', inode('file', 'g'), inode('file', 'h'))).toEqual([
      { entry: { parent: e.id, name: 'g' } },
    ]);
    const other = inode('file', 'f', { version: 2, generation: 2 });
    expect(tell(forged('d'), 'f', inode('file', 'f'), other)).toEqual([{ entry: { parent: d.id, name: 'f' } }]);
    expect(tell(ROOT_ID, 'd', inode('directory', 'd'), undefined)).toEqual([
      { entry: { parent: ROOT_NODE, name: 'd' } },
    ]);
  });

  it('makes it ask for attributes again', () => {
    const { d, f, tell } = stage();
    const [file, directory] = [inode('file', 'f'), inode('directory', 'd')];
    expect(tell(forged('d'), 'f', file, { ...file, mode: 0, version: 2 })).toEqual([{ attributes: f.id }]);
    expect(tell(ROOT_ID, 'd', directory, { ...directory, mtime: 2n, version: 2 })).toEqual([{ attributes: d.id }]);
  });

  it('is nothing to tell where the kernel knows neither directory nor inode, nor of what is new', () => {
    const { tell } = stage();
    expect(tell(forged('x'), 'f', inode('file', 'y'), undefined)).toEqual([undefined]);
    expect(tell(forged('x'), 'f', inode('file', 'y'), inode('file', 'y', { version: 2 }))).toEqual([undefined]);
    expect(tell(forged('d'), 'new', undefined, inode('file', 'new'))).toEqual([undefined]);
    expect(tell(forged('d'), 'f', undefined, { kind: 'record', version: 1, body: '' })).toEqual([]);
  });

  it('puts what was moved where it lies now', () => {
    const { d, e, f, tell } = stage();
    const moved = inode('directory', 'd', { version: 2 });
    expect(tell(ROOT_ID, 'd', inode('directory', 'd'), undefined)).toHaveLength(1);
    expect(tell(forged('e'), 'inner', undefined, moved)).toEqual([undefined]);
    expect([d.parent, d.name, f.parent]).toEqual([e, 'inner', d]);
  });

  it('follows the root to another inode', () => {
    const { nodes, tell } = stage();
    const root = inode('directory', 'root');
    expect(tell(ABOVE_ROOT, '', inode('directory', 'x'), root)).toEqual([{ attributes: ROOT_NODE }]);
    expect(nodes.find({ inodeId: root.id, generation: 0 })).toBe(nodes.root);
    expect(tell(root.id, 'd', inode('directory', 'd'), undefined)).toEqual([
      { entry: { parent: ROOT_NODE, name: 'd' } },
    ]);
  });
});
