import { closeSync, fstatSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sequentialId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { KeptHandles } from './kept-handles.ts';
import { KeptIds } from './kept-ids.ts';
import { KeptNodes } from './kept-nodes.ts';
import { Node, Nodes, pathOf, ROOT_NODE } from './nodes.ts';
import { RECORDS_START, SessionMemory } from './session-memory.ts';
import { memoryFile } from './syscalls.ts';

const MANY = 40_000;
const LONG = 'a'.repeat(255) as Name;
const name = (text: string | number) => String(text) as Name;
const content = (id: number, generation = 1) => ({ inodeId: sequentialId(id), generation });

let fd: number;
const rootOf = () => new Node(ROOT_NODE, content(1, 0), undefined, name(''));
/** As a process has them that has just begun with this memory. */
const nodesNow = () => new Nodes(rootOf(), () => {}, new KeptNodes(new SessionMemory(fd)));

beforeEach(() => {
  fd = memoryFile('test', RECORDS_START);
});
afterEach(() => closeSync(fd));

describe('the nodes of a session', () => {
  it('mean the same to a successor: where they are, of which content, and how often they were looked up', () => {
    const nodes = nodesNow();
    const directory = nodes.looked(nodes.root, name('directory'), content(70, 0));
    const file = nodes.looked(directory, LONG, content(71, 3));
    nodes.looked(directory, LONG, content(71, 3));
    nodes.place(file, nodes.root, name('moved'));
    nodes.syncEvery(file, 500);
    nodes.pin(nodes.looked(directory, name('written'), content(72)));
    nodes.unpin(sequentialId(72), 2);
    nodes.looked(directory, name('gone'), content(73));
    nodes.forget(nodes.find(content(73))?.id ?? 0, 1);

    const next = nodesNow();
    expect(next.restore()).toHaveLength(3);
    const found = next.get(file.id);
    expect(found && pathOf(found)).toBe('/moved');
    expect(found).toMatchObject({ ...content(71, 3), lookups: 2, syncIntervalMs: 500 });
    const written = next.find(content(72, 2));
    expect(written && pathOf(written)).toBe('/directory/written');
    expect(next.find(content(73))).toBeUndefined();
  });

  it('take as much memory as there are at a time', () => {
    const nodes = nodesNow();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < MANY; i++) nodes.looked(nodes.root, name(i), content(100 + i));
      for (let i = 0; i < MANY; i++) nodes.forget(nodes.find(content(100 + i))?.id ?? 0, 1);
    }
    expect(nodesNow().restore()).toEqual([]);
    // Of 88 bytes each.
    expect(fstatSync(fd).size).toBe(RECORDS_START + 4 * 2 ** 20);
  });

  it('that lie in a directory which nobody knows any more are not guessed at', () => {
    const nodes = nodesNow();
    const directory = nodes.looked(nodes.root, name('directory'), content(70, 0));
    nodes.looked(directory, name('file'), content(71));
    nodes.forget(directory.id, 1);
    expect(nodesNow().restore()).toEqual([]);
  });
});

describe('what is open', () => {
  it('is known to a successor, with how far directories were read', () => {
    const handles = new KeptHandles(new SessionMemory(fd));
    const file = { handle: 7, node: 2 ** 45, isWriter: true, isDirect: false, attributes: undefined } as const;
    handles.addFile({ ...file, reads: { from: 'kernel', backing: 4 }, unique: [3, 1 << 31] });
    handles.remove(handles.addFile({ ...file, reads: { from: 'node' }, unique: [5, 0] }));
    const directory = handles.addDirectory(9, 70);
    for (const offset of [10, 20, 30]) handles.mark(directory, { offset, name: name(offset) }, offset / 10);

    const next = new KeptHandles(new SessionMemory(fd));
    const kernel = { from: 'kernel', backing: 4 };
    expect([...next.files()]).toEqual([{ ...file, position: expect.any(Number), reads: kernel, unique: [3, 0] }]);
    const [found] = next.directories();
    expect(found).toMatchObject({ handle: 9, node: 70 });
    expect(found?.marks.map((mark) => mark.name).toSorted()).toEqual(['20', '30']);
  });
});

describe('ids', () => {
  it('are the same for a request that comes again, to whichever process', () => {
    let last = 1000;
    const fresh = () => sequentialId(++last);
    const ids = new KeptIds(fd);
    const token = ids.tokenOf([42, 0]);
    const first = ids.remembering(fresh)(token);
    const again = ids.remembering(fresh)(`${token}-again`);
    const next = new KeptIds(fd);
    expect(next.tokenOf([42, 1 << 31])).toBe(token);
    expect(next.remembering(fresh)(token)).toBe(first);
    expect(next.remembering(fresh)(`${token}-again`)).toBe(again);
    expect(new Set([first, again, next.remembering(fresh)(next.tokenOf([44, 0])), fresh()]).size).toBe(4);
    expect(next.remembering(fresh)('of another session')).not.toBe(first);
  });
});
