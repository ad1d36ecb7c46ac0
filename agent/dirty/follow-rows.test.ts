import { describe, expect, it } from 'vitest';
import type { InodeId } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import { localFeed } from '../embedded/change-feed.ts';
import type { DirtyFile } from './dirty-file.ts';
import { followRows } from './follow-rows.ts';
import type { Journal } from './journal.ts';

const key = (name: string): RowKey => ({ directory: 'direct' as InodeId, name: name as Name });
const inode = (id: string, holder?: string) => ({ kind: 'file', id, ...(holder && { dirty: { holder } }) }) as Inode;

function following() {
  const feed = localFeed();
  const said: string[] = [];
  const file = { id: 'writte', at: key('a') } as unknown as DirtyFile;
  const end = followRows(
    { feed, holder: 'me' },
    {
      files: new Map([[file.id, file]]),
      journal: { note: ({ name }: RowKey) => said.push(`note ${name}`) } as unknown as Journal,
      gone: () => said.push('gone'),
      restingGone: (from, { id }) => said.push(`resting ${id} gone from ${from.name}`),
    },
  );
  const publish = (...changes: readonly [string, string | undefined, string | undefined][]) =>
    feed.publish({
      source: undefined,
      changes: changes.map(([name, before, after]) => ({
        key: key(name),
        before: before === undefined ? undefined : inode(before, 'me'),
        after: after === undefined ? undefined : inode(after, 'me'),
      })),
    });
  return { file, said, publish, end };
}

describe('following the rows of written files', () => {
  it('sees a file move, also onto another, which rested here and goes', () => {
    const { file, said, publish } = following();
    publish(['a', 'writte', undefined], ['b', 'otherx', 'writte']);
    expect(file.at).toEqual(key('b'));
    expect(said).toEqual(['note b', 'resting otherx gone from b']);
  });

  it('sees it go, and turn up later where the feed tells of a move in two halves', () => {
    const { file, said, publish, end } = following();
    publish(['a', 'writte', 'writte']);
    expect(said).toEqual([]);
    publish(['a', 'writte', undefined]);
    expect([file.at, said]).toEqual([undefined, ['gone']]);
    publish(['c', undefined, 'writte']);
    expect([file.at, said]).toEqual([key('c'), ['gone', 'note c']]);
    end();
    publish(['c', 'writte', undefined]);
    expect(file.at).toEqual(key('c'));
  });

  it('sees it go that has come in the same breath, and where one is that has moved twice', () => {
    const { file, said, publish } = following();
    publish(
      ['a', undefined, 'writte'],
      ['a', 'writte', undefined],
      ['b', undefined, 'writte'],
      ['b', 'writte', undefined],
    );
    expect([file.at, said]).toEqual([undefined, ['gone']]);
    const moved = following();
    moved.publish(
      ['a', 'writte', undefined],
      ['b', undefined, 'writte'],
      ['b', 'writte', undefined],
      ['c', undefined, 'writte'],
    );
    expect([moved.file.at, moved.said]).toEqual([key('c'), ['note c']]);
  });

  it('leaves the names of others alone', () => {
    const { file, said, publish } = following();
    publish(['z', 'writte', undefined], ['x', undefined, 'strang']);
    expect([file.at, said]).toEqual([key('a'), []]);
  });
});
