import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InodeId } from '#shared/model/ids.ts';
import type { MountId, StoreKey } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import { Journal } from './journal.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'leat-journal-'));
  path = join(folder, 'journal');
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (id: string, name: string) => ({
  id: id as InodeId,
  directory: 'direct' as InodeId,
  name: name as Name,
});
const upload = { mount: 'm' as MountId, key: 'a/b' as StoreKey, upload: 'id-1' };

describe('the journal of dirty files', () => {
  it('knows after a kill what was under way, and where it was last', () => {
    const journal = new Journal(path);
    journal.note(file('aaaaaa', 'a'));
    journal.note(file('bbbbbb', 'b\n"\xff'));
    journal.note(file('aaaaaa', 'moved'));
    journal.note(file('cccccc', 'c'));
    journal.end('cccccc' as InodeId);
    journal.begin(upload);
    // Nobody closes it.
    const next = new Journal(path);
    expect(next.all).toEqual([file('aaaaaa', 'moved'), file('bbbbbb', 'b\n"\xff')]);
    expect(next.begun).toEqual([upload]);
    next.over(upload.upload);
    next.close();
    expect(new Journal(path).begun).toEqual([]);
  });

  it('tells of an end late, but at the latest when it is closed', () => {
    const journal = new Journal(path);
    journal.note(file('aaaaaa', 'a'));
    journal.end('aaaaaa' as InodeId);
    const before = readFileSync(path, 'utf8');
    journal.close();
    expect(readFileSync(path, 'utf8').length).toBeGreaterThan(before.length);
    expect(new Journal(path).all).toEqual([]);
  });

  it('is not confused by a line that was cut off, nor by many', () => {
    const journal = new Journal(path);
    for (let i = 0; i < 60_000; i++) {
      journal.note(file('aaaaaa', `a${i}`));
      journal.end('aaaaaa' as InodeId);
    }
    journal.note(file('bbbbbb', 'b'));
    journal.close();
    appendFileSync(path, '["cccccc","dire');
    const next = new Journal(path);
    expect(next.all).toEqual([file('bbbbbb', 'b')]);
    next.close();
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(2);
  });
});
