import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FILES_MAX, MIXES, mixOf, parseCount, parseOperations } from './mixes.ts';
import { DEFAULT_LOAD, estimate, MONTH_SECONDS } from './model.ts';
import { PRICES } from './prices.ts';
import { OPERATION_NAMES, unitsOf } from './requests.ts';
import { documentedTables, dollars } from './tables.ts';

const doc = readFileSync(new URL('../../docs/cost.md', import.meta.url), 'utf8');

/** The cells of the table behind `<!-- table: NAME -->`, however it is set. */
function tableIn(text: string, name: string): string[][] {
  const [, behind = ''] = text.split(`<!-- table: ${name} -->\n`);
  const lines = /^\n*((?:\|.*\n)+)/.exec(behind)?.[1]?.trimEnd().split('\n') ?? [];
  const rows = lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return rows.filter((_, i) => i !== 1);
}

const sum = (parts: readonly { readonly usd: number }[]) => parts.reduce((all, { usd }) => all + usd, 0);

describe('docs/cost.md', () => {
  it.each(Object.entries(documentedTables()))('has the table of %s as the model has it', (name, table) => {
    expect(tableIn(doc, name)).toEqual(table);
  });

  it('names the prices that could not be verified as such', () => {
    const units = Object.values(PRICES).filter(({ isVerified }) => !isVerified);
    expect(units.length).toBeGreaterThan(0);
    for (const { unit, source } of units) expect([unit, source]).toEqual([unit, 'from memory, not verified']);
  });
});

describe('cost', () => {
  const load = { ...DEFAULT_LOAD, files: 1e8, mix: MIXES.training };

  it('rounds up to units of 4 KB and 1 KB, and writes twice what is in a transaction', () => {
    expect(unitsOf('stat', 12)).toEqual({ read: 13, write: 0 });
    expect(unitsOf('create', 1)).toEqual({ read: 3, write: 1 });
    expect(unitsOf('rename-file', 6)).toEqual({ read: 8, write: 6 });
    // 250,000 bytes are 62 units; the path takes seven.
    expect(unitsOf('list', 6)).toEqual({ read: 69, write: 0 });
  });

  it('explains the whole bill by its causes', () => {
    for (const mix of Object.values(MIXES)) {
      const { parts, causes, storageUsd, totalUsd } = estimate({ ...load, mix });
      expect(sum(causes) + storageUsd).toBeCloseTo(totalUsd, 6);
      expect(sum(parts)).toBeCloseTo(totalUsd, 6);
    }
  });

  it('charges reads alone for stats, and nothing of the feed', () => {
    const { causes } = estimate({ ...load, mix: { stat: 1 } });
    const named = Object.fromEntries(causes.map(({ name, usd }) => [name, usd]));
    expect(named['stat']).toBeCloseTo(MONTH_SECONDS * 7 * 0.125e-6, 9);
    expect(named['change feed']).toBe(0);
  });

  it('costs more with each agent, file and operation', () => {
    const { totalUsd } = estimate(load);
    expect(estimate({ ...load, agents: 9 }).totalUsd).toBeGreaterThan(totalUsd);
    expect(estimate({ ...load, files: 1.1e8 }).totalUsd).toBeGreaterThan(totalUsd);
    for (const name of OPERATION_NAMES) {
      const mix = { ...MIXES.training, [name]: 1000 };
      expect(estimate({ ...load, mix }).totalUsd).toBeGreaterThan(totalUsd);
    }
  });

  it('stores the first 25 GB for nothing but their recovery', () => {
    expect(estimate({ ...load, files: 1e6 }).storageUsd).toBeCloseTo(0.35 * 0.2, 9);
    expect(estimate({ ...load, files: 1e9 }).storageUsd).toBeCloseTo(325 * 0.25 + 350 * 0.2, 9);
  });

  it('prints dollars with cents where they matter', () => {
    expect([0, 99.994, 100, 1234.5, 1234567.8].map((usd) => dollars(usd))).toEqual([
      '0.00',
      '99.99',
      '100',
      '1,235',
      '1,234,568',
    ]);
  });
});

describe('what is asked for', () => {
  it.each([
    ['5000', 5000],
    ['1.5k', 1500],
    ['100M', 1e8],
    ['1B', 1e9],
    ['0', 0],
  ])('reads %s', (text, value) => expect(parseCount(text, FILES_MAX)).toBe(value));

  it.each(['', 'x', '-1', '1e9', '1 M', '1m', '2T', '.5', '0x10', 'NaN'])(
    "refuses '%s' as a number of files",
    (text) => {
      expect(() => parseCount(text, FILES_MAX)).toThrow(expect.objectContaining({ kind: 'invalid' }));
    },
  );

  it('reads operations with and without their /s', () => {
    expect(parseOperations('stat=100/s,create=1.5k')).toEqual({ stat: 100, create: 1500 });
  });

  it.each(['', 'stat', 'stat=', 'stat=1/h', 'fly=1', 'stat=1,stat=2', 'stat=1,,create=1', 'toString=1'])(
    "refuses '%s' as operations",
    (text) => {
      expect(() => parseOperations(text)).toThrow(expect.objectContaining({ kind: 'invalid' }));
    },
  );

  it('knows mixes by their names alone', () => {
    expect(mixOf('etl')).toBe(MIXES.etl);
    expect(() => mixOf('constructor')).toThrow(/there are training, etl, home/);
  });
});
