import { describe, expect, it } from 'vitest';
import { readConfig, variableOf } from './config.ts';
import { parseBytes, parseDuration, parseInterval } from './parse.ts';

describe('config', () => {
  it('takes defaults, then the environment, then --set', () => {
    const env = { LEAT_CACHE_SIZE: '2GiB', LEAT_CACHE_MEMORY: '1MiB' };
    const config = readConfig({ env, set: ['cache.size=10MB', 'metadata.lease=30s'] });
    expect(config['cache.size']).toBe(10_000_000);
    expect(config['cache.memory']).toBe(2 ** 20);
    expect(config['metadata.lease']).toBe(30_000);
    expect(config.metastore).toBe('lmdb');
  });

  it('names the property and its source in what it refuses', () => {
    expect(() => readConfig({ env: {}, set: ['cache.sise=1'] })).toThrow(
      /--set cache\.sise: there is no such property.*cache\.size/,
    );
    expect(() => readConfig({ env: { LEAT_CACHE_SIZE: 'lots' }, set: [] })).toThrow(/LEAT_CACHE_SIZE: 'lots'/);
    expect(() => readConfig({ env: {}, set: ['cache.size'] })).toThrow(/name=value/);
  });

  it('spells variables as the properties', () => {
    expect(variableOf('metastore.durability')).toBe('LEAT_METASTORE_DURABILITY');
  });

  it('reads units exactly', () => {
    expect([parseBytes('4096'), parseBytes('1.5KiB'), parseBytes('16 GiB')]).toEqual([4096, 1536, 2 ** 34]);
    expect([parseDuration('250ms'), parseDuration('1m'), parseDuration('0')]).toEqual([250, 60_000, 0]);
    expect(parseInterval('-1')).toBe(-1);
    for (const wrong of ['', '-5', '5xiB', '1e9', 'GiB']) expect(() => parseBytes(wrong)).toThrow(/no number of bytes/);
    for (const wrong of ['', '5', '1 week']) expect(() => parseDuration(wrong)).toThrow(/no duration/);
  });
});
