import { describe, expect, it } from 'vitest';
import type { StoreKey } from '../model/inode.ts';
import { fromText } from '../model/names.ts';
import { storePage } from './s3-listing.ts';

const keyOf = (text: string) => fromText(text) as StoreKey;
const answer = (keys: readonly string[], prefixes: readonly string[]) => ({
  $metadata: {},
  Contents: keys.map((Key) => ({ Key, Size: 1, ETag: '"e"' })),
  CommonPrefixes: prefixes.map((Prefix) => ({ Prefix })),
});

describe('storePage', () => {
  it('counts keys that no name can stand for, and shows the rest in key order', () => {
    const long = 'ü'.repeat(128); // 256 bytes
    const keys = ['d/', 'd/a', 'd/b.', 'd/.', 'd/..', `d/${long}`, 'd/b-'];
    const page = storePage(answer(keys, ['d//', 'd/../', 'd/b/', `d/${long}/`]), 'd/', keyOf);
    expect(page.entries.map(({ key, kind }) => [key, kind])).toEqual([
      ['d/a', 'file'],
      ['d/b-', 'file'],
      ['d/b.', 'file'],
      ['d/b', 'directory'],
    ]);
    expect(page.unnameable).toBe(6);
  });

  it('decodes only what the server says it has encoded', () => {
    const names = (encoding: { EncodingType?: 'url' }) =>
      storePage({ ...answer(['a+b%20%2Bc'], ['p+%C3%BC/']), ...encoding }, '', keyOf).entries.map(({ key }) => key);
    expect(names({ EncodingType: 'url' })).toEqual(['a b +c', fromText('p ü')]);
    expect(names({})).toEqual(['a+b%20%2Bc', 'p+%C3%BC']);
  });

  it('has a cursor while there is more', () => {
    const more = { ...answer(['a'], []), IsTruncated: true, NextContinuationToken: 't' };
    expect(storePage(more, '', keyOf).cursor).toBe('t');
    expect(storePage({ ...more, IsTruncated: false }, '', keyOf)).not.toHaveProperty('cursor');
  });
});
