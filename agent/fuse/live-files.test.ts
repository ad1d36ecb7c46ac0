import { mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { sequentialId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { attributesAt, encodeRow, type HotAttributes } from '#shared/model/row-codec.ts';
import { sealAs, sealedPath } from '../cache/sealed.ts';
import { dirtyPath, makeShards } from '../dirty/dirty-paths.ts';
import { LiveFiles } from './live-files.ts';
import { Node, Nodes, ROOT_NODE } from './nodes.ts';

const id = sequentialId(7);
const times = { atime: 5n * 10n ** 9n, mtime: 5n * 10n ** 9n, ctime: 5n * 10n ** 9n };
const owner = { mode: 0o644, uid: 0, gid: 0 };
const row = encodeRow({ kind: 'file', id, ...owner, size: 10, ...times, version: 1, generation: 1 });

function opened() {
  const dir = mkdtempSync(join(tmpdir(), 'leat-live-'));
  makeShards(dir);
  const root = new Node(ROOT_NODE, { inodeId: sequentialId(1), generation: 0 }, undefined, '' as Name);
  const nodes = new Nodes(root, () => {});
  const means = { nodes: () => nodes, isHeld: () => false, onBegun: () => {}, onSettled: () => {} };
  const looked = (generation: number) => nodes.looked(root, 'a' as Name, { inodeId: id, generation });
  return { dir, live: new LiveFiles(dir, means), looked, [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
}

it('takes what others write after it was closed for another content, as soon as its store has all of it', () => {
  using files = opened();
  const { dir, live, looked } = files;
  const node = looked(1);
  const stored = (size: number) => {
    truncateSync(dirtyPath(dir, id), size);
    const mtime = statSync(dirtyPath(dir, id), { bigint: true }).mtimeNs;
    return { id, generation: 2, stamp: { size, mtime } };
  };
  const begun = live.begin(node, {});
  begun.stored = stored(20);
  begun.writers++;
  live.released(node);
  expect(looked(3)).toBe(node);
  truncateSync(dirtyPath(dir, id), 30);
  live.released(node);
  expect(looked(3)).toBe(node);
  begun.writers++;
  begun.stored = stored(20);
  live.released(node);
  expect(looked(2)).toBe(node);
  expect(looked(3)).not.toBe(node);
  expect(live.get(node)).toBeUndefined();
});

it('shows how a file is that is written, and of one that the cache has got back what its row says', () => {
  using files = opened();
  const { dir, live, looked } = files;
  const node = looked(1);
  const attributes = attributesAt(row) as HotAttributes;
  live.begin(node, {});
  truncateSync(dirtyPath(dir, id), 20);
  const shown = live.shown(node, attributes);
  expect(shown).toMatchObject({ size: 20 });
  expect(shown.mtimeSeconds).toBeGreaterThan(5);

  sealAs(dirtyPath(dir, id), sealedPath(dir, { id, generation: 1 }), 0);
  expect(live.shown(node, attributes)).toEqual(attributes);
  // What it has come to be stays known, also where rows cannot be asked.
  Object.assign(live.get(node) ?? {}, { writers: 0 });
  node.attributes = attributes;
  live.settled({ id, generation: 2, stamp: { size: 20, mtime: 9n * 10n ** 9n } });
  expect(node.attributes).toMatchObject({ size: 20, mtimeSeconds: 9, generation: 2, isDirty: false });
});
