import { describe, expect, it } from 'vitest';
import { type InodeId, sequentialId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { noticeOf } from './invalidation.ts';
import { Node, Nodes, pathOf, ROOT_NODE } from './nodes.ts';
import { OtherNames } from './other-names.ts';

const named = (text: string) => text as Name;
const content = (inodeId: InodeId, generation = 1) => ({ inodeId, generation });

function seen() {
  const root = new Node(ROOT_NODE, content(sequentialId(1), 0), undefined, named(''));
  const nodes: Nodes = new Nodes(root, (node) => others.forget(node));
  const others = new OtherNames(() => nodes);
  const directory = nodes.looked(root, named('d'), content(sequentialId(70), 0));
  const file = nodes.looked(root, named('a'), content(sequentialId(80)));
  const names = [
    { directory: root.inodeId, name: named('a') },
    { directory: sequentialId(99), name: named('nowhere') },
    { directory: directory.inodeId, name: named('b') },
  ];
  others.learn(file, names);
  return { root, nodes, others, directory, file, names };
}

describe('a node whose inode has several names', () => {
  it('is found under another one when the one goes where it was seen, as far as its directory is known', () => {
    const { root, others, file } = seen();
    others.parted(root, named('z'));
    expect(pathOf(file)).toBe('/a');
    others.parted(root, named('a'));
    expect(pathOf(file)).toBe('/d/b');
    expect(file.names.map(({ name }) => name)).toEqual(['nowhere', 'b']);
    expect(others.leave(file)).toBe(false);
  });

  it('stays where it is when it has been seen elsewhere since', () => {
    const { root, nodes, others, directory, file, names } = seen();
    nodes.looked(directory, named('b'), content(file.inodeId));
    others.learn(file, names);
    others.parted(root, named('a'));
    expect(pathOf(file)).toBe('/d/b');
  });

  it('counts what is left in what was said of it, and is forgotten with the node', () => {
    const { root, nodes, others, file } = seen();
    file.attributes = { links: 3 } as never;
    expect(others.leave(file)).toBe(true);
    expect(file.attributes).toMatchObject({ links: 2 });
    nodes.forget(file.id, 1);
    others.parted(root, named('b'));
    expect(pathOf(file)).toBe('/d/b');
  });

  it('follows what others do', () => {
    const { root, nodes, others, file } = seen();
    const row = { directory: root.inodeId, name: named('c'), mayHaveMoved: true, hasSetTime: false };
    const made = { ...row, before: undefined, after: content(file.inodeId) };
    noticeOf(nodes, made);
    others.changed(made);
    expect(pathOf(file)).toBe('/c');
    others.changed({ ...row, before: content(file.inodeId), after: undefined });
    expect(pathOf(file)).toBe('/a');
  });

  it('is nothing special when it has one name', () => {
    const { root, others, file } = seen();
    others.learn(file, []);
    others.parted(root, named('a'));
    expect(others.leave(file)).toBe(false);
    expect(pathOf(file)).toBe('/a');
  });
});
