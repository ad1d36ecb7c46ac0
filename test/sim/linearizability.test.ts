import { describe, expect, it } from 'vitest';
import type { FaultKind } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import { type Call, judge } from './linearizability.ts';
import type { Answer, Operation } from './operations.ts';

/** `create /a/f`, when it was asked and answered, and what: an inode, names with theirs, a refusal, or nothing. */
type Line = readonly [what: string, asked: number, answered: number, answer?: string | Record<string, string>];

const REFUSALS: readonly string[] = ['notFound', 'exists', 'notEmpty', 'notDirectory', 'isDirectory', 'invalid'];

function callOf([what, asked, answered, told]: Line, index: number): Call {
  const [act = '', path = '', to] = what.split(' ');
  const operation = { act, path, ...(to !== undefined && { to }) } as Operation;
  return { name: `${index}: ${what}`, operation, asked, answered, answer: answerOf(told, answered) };
}

function answerOf(told: Line[3], answered: number): Answer {
  if (answered === Infinity) return { is: 'unknown' };
  if (told === undefined) return { is: 'done' };
  if (typeof told !== 'string') return { is: 'done', entries: told as Record<string, InodeId> };
  if (REFUSALS.includes(told)) return { is: 'refused', kind: told as FaultKind };
  return { is: 'done', id: told as InodeId };
}

const SETUP = new Map([
  ['D', '/d/'],
  ['E', '/d/e/'],
  ['F', '/d/f'],
  ['O', '/o/'],
]) as unknown as ReadonlyMap<InodeId, string>;

const verdict = (lines: readonly Line[]) => judge(lines.map(callOf), SETUP);

const GOOD: Readonly<Record<string, readonly Line[]>> = {
  'one after another': [
    ['create /d/g', 1, 2, 'G'],
    ['list /d', 3, 4, { e: 'E', f: 'F', g: 'G' }],
    ['unlink /d/g', 5, 6],
    ['stat /d/g', 7, 8, 'notFound'],
    ['rmdir /d/e', 9, 10],
    ['mkdir /d/e', 11, 12, 'E2'],
    ['rename /d/f /d/e/f', 13, 14, 'F'],
    ['rmdir /d/e', 15, 16, 'notEmpty'],
    ['stat /d/e/f', 17, 18, 'F'],
  ],
  'two creators of a name, of whom one is told that it exists': [
    ['create /d/g', 1, 4, 'exists'],
    ['create /d/g', 2, 3, 'G'],
  ],
  'a reader who may or may not have come in time': [
    ['create /d/g', 1, 6, 'G'],
    ['stat /d/g', 2, 3, 'notFound'],
    ['stat /d/g', 4, 5, 'G'],
  ],
  'an effect that is seen long after its answer was lost': [
    ['create /d/g', 1, Infinity],
    ['stat /d/g', 2, 3, 'notFound'],
    ['stat /d/g', 4, 5, 'X'],
  ],
  'a request that never arrived': [
    ['unlink /d/f', 1, Infinity],
    ['stat /d/f', 2, 3, 'F'],
    ['list /d', 4, 5, { e: 'E', f: 'F' }],
  ],
  'a walk that was half done when its directory was renamed': [
    ['create /d/e/g', 1, 6, 'G'],
    ['rename /d /q', 2, 3, 'D'],
    ['stat /d', 4, 5, 'notFound'],
    ['stat /q/e/g', 7, 8, 'G'],
  ],
  'a creator whose directory was removed under him': [
    ['create /d/e/g', 1, 4, 'notFound'],
    ['rmdir /d/e', 2, 3],
  ],
  'of two renames that would make a circle one': [
    ['rename /d /o/d', 1, 4, 'D'],
    ['rename /o /d/o', 2, 3, 'notFound'],
    ['stat /o/d/e', 5, 6, 'E'],
  ],
  'a rename to itself': [['rename /d/f /d/f', 1, 2, 'F']],
  'a file made in a tree as it goes': [
    ['create /d/e/g', 1, 4, 'G'],
    ['removeTree /d', 2, 3],
    ['stat /d', 5, 6, 'notFound'],
  ],
};

const BAD: Readonly<Record<string, readonly Line[]>> = {
  'a stale read': [
    ['create /d/g', 1, 2, 'G'],
    ['stat /d/g', 3, 4, 'notFound'],
  ],
  'a lost update': [
    ['create /d/g', 1, 4, 'G'],
    ['create /d/h', 2, 3, 'H'],
    ['list /d', 5, 6, { e: 'E', f: 'F', h: 'H' }],
  ],
  'two who have both created a name': [
    ['create /d/g', 1, 4, 'G'],
    ['create /d/g', 2, 3, 'G2'],
  ],
  'two who have both removed a name': [
    ['unlink /d/f', 1, 4],
    ['unlink /d/f', 2, 3],
  ],
  'two who have both renamed a file': [
    ['rename /d/f /o/f', 1, 4, 'F'],
    ['rename /d/f /o/f', 2, 3, 'F'],
  ],
  'a refusal without a reason': [['create /d/g', 1, 2, 'exists']],
  'something seen and then not yet there': [
    ['create /d/g', 1, 6, 'G'],
    ['stat /d/g', 2, 3, 'G'],
    ['stat /d/g', 4, 5, 'notFound'],
  ],
  'two readers who disagree about an order': [
    ['create /d/g', 1, 10, 'G'],
    ['create /d/h', 2, 9, 'H'],
    ['list /d', 3, 4, { e: 'E', f: 'F', g: 'G' }],
    ['list /d', 5, 6, { e: 'E', f: 'F', h: 'H' }],
  ],
  'a list without a file that was acknowledged': [
    ['create /d/e/g', 1, 2, 'G'],
    ['list /d/e', 3, 4, {}],
  ],
  'a list with what is removed': [
    ['unlink /d/f', 1, 2],
    ['list /d', 3, 4, { e: 'E', f: 'F' }],
  ],
  'something that comes back after its removal': [
    ['unlink /d/f', 1, 2],
    ['stat /d/f', 3, 4, 'notFound'],
    ['stat /d/f', 5, 6, 'F'],
  ],
  'what was lost on the way, and was there, and was not, and is': [
    ['create /d/g', 1, Infinity],
    ['stat /d/g', 2, 3, 'X'],
    ['stat /d/g', 4, 5, 'notFound'],
    ['stat /d/g', 6, 7, 'X'],
  ],
  'a file made in a directory that was removed before': [
    ['rmdir /d/e', 1, 2],
    ['create /d/e/g', 3, 4, 'G'],
  ],
  'a directory removed with a file in it': [
    ['create /d/e/g', 1, 2, 'G'],
    ['rmdir /d/e', 3, 4],
  ],
  'an effect of what was refused': [
    ['unlink /d/f', 1, 2, 'notFound'],
    ['stat /d/f', 3, 4, 'notFound'],
  ],
  'a circle': [
    ['rename /d /o/d', 1, 4, 'D'],
    ['rename /o /d/o', 2, 3, 'O'],
  ],
  'a tree that is lost with a rename': [
    ['rename /d /o/d', 1, 2, 'D'],
    ['stat /o/d/e', 3, 4, 'notFound'],
  ],
  'a tree that is still there when it was removed': [
    ['removeTree /d', 1, 2],
    ['stat /d/f', 3, 4, 'F'],
  ],
  'another inode than the one that was moved': [
    ['create /o/g', 1, 2, 'G'],
    ['rename /d/f /o/f', 3, 4, 'F'],
    ['stat /o/f', 5, 6, 'G'],
  ],
  'an inode that nobody can have made': [['stat /d/f', 1, 2, 'X']],
};

describe('the judge of histories', () => {
  it.each(Object.entries(GOOD))('explains %s', (_, lines) => {
    expect(verdict(lines)).toMatchObject({ is: 'linearizable' });
  });

  it.each(Object.entries(BAD))('sees through %s', (_, lines) => {
    expect(verdict(lines)).toMatchObject({ is: 'violated' });
  });

  it('names the first answer that cannot be explained', () => {
    const lines: Line[] = [
      ['create /d/g', 1, 2, 'G'],
      ['stat /d/g', 3, 4, 'G'],
      ['stat /d/g', 5, 6, 'notFound'],
      ['stat /d/g', 7, 8, 'G'],
    ];
    expect(verdict(lines)).toMatchObject({ is: 'violated', by: '2: stat /d/g' });
  });

  it('needs few states for a long history with many lost answers', () => {
    const lines = Array.from({ length: 300 }, (_, i): Line[] => [
      [`create /o/f${i}`, 10 * i, i % 10 === 0 ? Infinity : 10 * i + 12, `I${i}`],
      [`unlink /o/f${i - 5}`, 10 * i + 1, Infinity],
      ['list /d', 10 * i + 2, 10 * i + 3, { e: 'E', f: 'F' }],
    ]).flat();
    expect(judge(lines.map(callOf), SETUP)).toEqual({ is: 'linearizable', states: 270 });
  });
});
