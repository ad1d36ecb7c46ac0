import { describe, expect, it } from 'vitest';
import { ROOT, sequentialId } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { drawnId, foretoldId } from './ids.ts';

const at = (name: string, directory = ROOT) => foretoldId({ directory, name: name as Name });

describe('ids where many make them', () => {
  it('are drawn by chance, or the same for the same request', () => {
    expect(new Set(Array.from({ length: 1000 }, () => drawnId())).size).toBe(1000);
    expect(drawnId('a')).toBe(drawnId('a'));
    expect(drawnId('a')).not.toBe(drawnId('b'));
  });

  it('of directories are told from their place alone', () => {
    expect(at('a\xff')).toBe(at('a\xff'));
    expect(at('a')).not.toBe(at('b'));
    expect(at('a')).not.toBe(at('a', sequentialId(2)));
    expect(at('c', at('b'))).not.toBe(at('b', at('c')));
  });

  it('never meet: drawn ones, foretold ones and those of special directories', () => {
    const firsts = Array.from({ length: 256 }, (_, i) => [drawnId().charCodeAt(0), at(`${i}`).charCodeAt(0)] as const);
    expect(firsts.every(([drawn, foretold]) => drawn < 0x80 && foretold >= 0x80)).toBe(true);
    expect([drawnId(), drawnId('x'), at('a')].map(({ length }) => length)).toEqual([16, 16, 16]);
  });
});
