import { describe, expect, it } from 'vitest';
import { LeatError } from '#shared/model/faults.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import { callingOf } from '../../test/support/remote.ts';
import { patientCall } from './patient-call.ts';
import { registered } from './registration.ts';

/** So short that it is renewed all the time. */
const LEASE_MS = 30;

async function opened() {
  const seen: string[] = [];
  const logged: string[] = [];
  const sequences: number[] = [];
  const world = { isDown: false };
  const registry = {
    async join(id: string) {
      if (world.isDown) throw new LeatError('unavailable', 'the table is down');
      const sequence = seen.push(`join ${id}`);
      const where = { inbox: 'q', table: 't', region: 'r', identity: 'i' };
      return { ...where, sequence, leaseMs: LEASE_MS, directReads: true };
    },
    leave: async (id: string) => void seen.push(`leave ${id}`),
  };
  const call = patientCall(callingOf({} as Namespace, { agents: registry }));
  const agent = await registered({
    call,
    id: 'a1',
    log: (line) => void logged.push(line),
    onRenewed: ({ sequence }) => void sequences.push(sequence),
  });
  return { ...agent, seen, logged, sequences, world };
}

describe('an agent that has joined', () => {
  it('renews until it takes leave', async () => {
    const { registration, end, seen, sequences } = await opened();
    expect(registration).toMatchObject({ inbox: 'q', sequence: 1 });
    await expect.poll(() => sequences.slice(0, 2)).toEqual([2, 3]);
    await end();
    const count = seen.length;
    expect(seen.at(-1)).toBe('leave a1');
    await new Promise((resolve) => setTimeout(resolve, 2 * LEASE_MS));
    expect(seen).toHaveLength(count);
  });

  it('goes on while the API is down, and joins again when it is back', async () => {
    const { end, logged, sequences, world } = await opened();
    world.isDown = true;
    await expect.poll(() => logged.length).toBeGreaterThan(0);
    const before = sequences.length;
    world.isDown = false;
    await expect.poll(() => sequences.length).toBeGreaterThan(before);
    expect(logged[0]).toContain('the table is down');
    await end();
  });
});
