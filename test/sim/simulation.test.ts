import { describe, expect, it } from 'vitest';
import { BREAKS } from './breaks.ts';
import { reportOf, simulate, type SimulateOptions } from './run.ts';
import { CREATORS, EVERYTHING } from './scenarios.ts';

/** `LEAT_SIM_SEED=n` repeats one schedule, `LEAT_SIM_RUNS=n` sets how many there are. */
const ONE = process.env['LEAT_SIM_SEED'];
const RUNS = Number(process.env['LEAT_SIM_RUNS'] ?? 10_000);
const LONG_RUNS = 100;
const RUNS_UNTIL_FOUND = 4000;
const PATIENCE_MS = 600_000;

/** Of the first schedule that goes wrong; undefined when none does. */
async function firstFault(seeds: Iterable<number>, options: SimulateOptions = {}): Promise<string | undefined> {
  for (const seed of seeds) {
    const run = await simulate(seed, options);
    if (run.faults.length > 0) return reportOf(run);
  }
  return undefined;
}

function* seedsTo(count: number): Generator<number> {
  for (let seed = 0; seed < count; seed++) yield seed;
}

describe('simulated executors on shared rows', () => {
  it('keep every promise, whoever goes on when, dies or is not heard', { timeout: PATIENCE_MS }, async () => {
    expect(await firstFault(ONE === undefined ? seedsTo(RUNS) : [Number(ONE)])).toBeUndefined();
  });

  it('keep them in long histories too', { timeout: PATIENCE_MS }, async () => {
    const options = { among: [EVERYTHING], clientsMin: 8, clientsMax: 8 };
    expect(await firstFault(ONE === undefined ? seedsTo(LONG_RUNS) : [Number(ONE)], options)).toBeUndefined();
  });

  it('lose nothing that was acknowledged when acts take longer than leases', { timeout: PATIENCE_MS }, async () => {
    const seeds = ONE === undefined ? seedsTo(RUNS / 2) : [Number(ONE)];
    expect(await firstFault(seeds, { isStalling: true })).toBeUndefined();
  });

  it.each(['after failures', 'soon'] as const)(
    'know their own when clients ask again %s',
    { timeout: PATIENCE_MS },
    async (asksAgain) => {
      const seeds = ONE === undefined ? seedsTo(RUNS / 10) : [Number(ONE)];
      expect(await firstFault(seeds, { among: [CREATORS], asksAgain })).toBeUndefined();
    },
  );

  it('do the same again for the same seed, and something else for another', async () => {
    const [first, again, other] = [await simulate(7), await simulate(7), await simulate(8)];
    expect(again.hash()).toBe(first.hash());
    expect(again.trace()).toBe(first.trace());
    expect(other.hash()).not.toBe(first.hash());
  });

  it.each(Object.entries(BREAKS))('are found out when %s', { timeout: PATIENCE_MS }, async (_, broken) => {
    expect(await firstFault(seedsTo(RUNS_UNTIL_FOUND), { broken })).toMatch(/^seed \d+/);
  });
});
