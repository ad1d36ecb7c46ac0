import { describe, expect, it } from 'vitest';
import { type InodeId, inodeNumber, sequentialId } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import { attributesAt, encodeRow, type HotAttributes } from '#shared/model/row-codec.ts';
import { type Content, contentOf, Node, Nodes, ROOT_NODE } from './nodes.ts';

const SAFE_MAX = Number.MAX_SAFE_INTEGER;

/** Ids that differ only behind the bytes of which a node's number is made. */
const forged = (tail: string): InodeId => `same bits${tail}`.padEnd(16, '-') as InodeId;
const content = (inodeId: InodeId, generation = 1): Content => ({ inodeId, generation });
const name = (text: string) => text as Name;

function nodes() {
  const gone: Node[] = [];
  const root = new Node(ROOT_NODE, content(sequentialId(1), 0), undefined, name(''));
  return { root, gone, nodes: new Nodes(root, (node) => gone.push(node)) };
}

const rowOf = (id: InodeId, generation: number): Inode => ({
  kind: 'file',
  id,
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  atime: 1n,
  mtime: 1n,
  ctime: 1n,
  version: 1,
  generation,
});

describe('nodes', () => {
  it('are the same for the same content, and others for another', () => {
    const { root, nodes: known } = nodes();
    for (const id of [sequentialId(70), forged('a')]) {
      const node = known.looked(root, name('a'), content(id));
      expect(known.looked(root, name('b'), content(id))).toBe(node);
      expect(node).toMatchObject({ name: 'b', lookups: 2 });
      expect(known.looked(root, name('b'), content(id, 2))).not.toBe(node);
      expect(known.find(content(id))).toBe(node);
    }
    expect(known.find(content(root.inodeId, 0))).toBe(root);
  });

  it('are never shared by two inodes, though their ids begin alike', () => {
    const { root, nodes: known } = nodes();
    const ids = ['a', 'b', 'c', 'd'].map(forged);
    const made = ids.map((id, i) => known.looked(root, name(String(i)), content(id)));
    expect(new Set(made.map(({ id }) => id)).size).toBe(ids.length);
    expect(made.every(({ id }) => id <= SAFE_MAX && known.get(id)?.id === id)).toBe(true);
    expect(ids.map((id) => known.find(content(id)))).toEqual(made);
    expect(ids.map((id) => known.looked(root, name('x'), content(id)))).toEqual(made);
  });

  it('keep their number when the one that had it first is forgotten', () => {
    const { root, nodes: known, gone } = nodes();
    const [a, b, c] = ['a', 'b', 'c'].map((tail) => known.looked(root, name(tail), content(forged(tail)))) as [
      Node,
      Node,
      Node,
    ];
    known.forget(a.id, 1);
    expect(gone).toEqual([a]);
    expect(known.looked(root, name('b'), content(forged('b')))).toBe(b);
    // The number that is free again is for whoever comes; those who are there stay where they are.
    const d = known.looked(root, name('d'), content(forged('d')));
    expect(d.id).toBe(a.id);
    expect(known.looked(root, name('c'), content(forged('c')))).toBe(c);
    known.forget(b.id, 2);
    expect(known.find(content(forged('b')))).toBeUndefined();
    known.forget(c.id, 2);
    known.forget(d.id, 1);
    expect(known.size).toBe(1);
    expect(known.looked(root, name('b'), content(forged('b'))).id).toBe(a.id);
  });

  it('of generations that count on into the number of another inode are still different', () => {
    const { root, nodes: known } = nodes();
    const next = 'same cits'.padEnd(16, '+') as InodeId;
    expect(inodeNumber(next)).toBe(inodeNumber(forged('a')) + 1);
    const all = [1, 2, 3].flatMap((generation) =>
      [forged('a'), next].map((id) => known.looked(root, name('x'), content(id, generation))),
    );
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  });

  it('know the rows that are of their content', () => {
    const { root, nodes: known } = nodes();
    for (const id of [sequentialId(70), forged('a')]) {
      const row = encodeRow(rowOf(id, 3));
      const node = known.looked(root, name('x'), contentOf(row, attributesAt(row) as HotAttributes));
      expect(attributesAt(row)?.inodeNumber).toBe(inodeNumber(id));
      const isOf = (other: Inode) => {
        const bytes = encodeRow(other);
        return node.isOf(bytes, attributesAt(bytes) as HotAttributes);
      };
      expect(isOf(rowOf(id, 3))).toBe(true);
      expect(isOf({ ...rowOf(id, 3), mode: 0 })).toBe(true);
      expect(isOf(rowOf(id, 4))).toBe(false);
      expect(isOf(rowOf(id.length > 6 ? forged('b') : sequentialId(71), 3))).toBe(false);
    }
  });
});
