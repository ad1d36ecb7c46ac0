import { describe, expect, it } from 'vitest';
import { judge } from './linearizability.ts';
import { type Engine, record } from './recording.ts';

const OPERATIONS = 320;

/** What clients of an engine are told has an explanation, whatever becomes of requests, answers and executors. */
export function linearizabilityContract(name: string, open: () => Promise<Engine>, histories: number): void {
  describe(`linearizability: ${name}`, () => {
    it.each(Array.from({ length: histories }, (_, seed) => seed))('history %i has an explanation', async (seed) => {
      const { history, setup } = await record(await open(), { seed, operations: OPERATIONS });
      expect(history.length).toBeGreaterThanOrEqual(OPERATIONS);
      expect(history.filter(({ answer }) => answer.is === 'done').length).toBeGreaterThan(OPERATIONS / 20);
      expect(judge(history, setup)).toMatchObject({ is: 'linearizable' });
    });
  });
}
