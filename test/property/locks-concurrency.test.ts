import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFault } from '#shared/model/faults.ts';
import { granted, type Lock, locksInTheWay, type LockWish } from '#shared/model/locks.ts';
import { sweepLocks } from '#shared/namespace/locks.ts';
import type { RunningNamespace } from '#shared/namespace/create-namespace.ts';
import { FILE, lockingAgents, wishOf } from '../support/locking.ts';
import { ROOT_USER as root } from '../support/namespace.ts';
import { randomFrom, yieldingMetastore } from '../support/yielding-metastore.ts';

const AGENTS = 3;
const OWNERS = 2;
const ACTS = 12;
const BYTES = 6;

/** Locks that were granted, by what their owners were told: each from the answer on until it is asked to be given back. */
class Told {
  held: Lock[] = [];
  readonly twice: string[] = [];
  readonly bugs: unknown[] = [];

  granted(wish: LockWish): void {
    for (const lock of locksInTheWay(this.held, wish)) this.twice.push(`${lock.owner} and ${wish.owner}`);
    this.held = granted(this.held, wish);
  }

  gone(agent: string): void {
    this.held = this.held.filter((lock) => lock.agent !== agent);
  }
}

interface Actor {
  readonly namespace: RunningNamespace;
  readonly told: Told;
  readonly random: () => number;
  /** The session of the agent's mount now. */
  readonly session: () => string;
  readonly agent: string;
  readonly owner: string;
}

async function act({ namespace, told, random, session, agent, owner }: Actor): Promise<void> {
  const [from, to] = [Math.floor(random() * BYTES), Math.floor(random() * BYTES)];
  const range = { start: BigInt(Math.min(from, to)), end: BigInt(Math.max(from, to)) };
  const type = (['shared', 'exclusive', 'none', 'none'] as const)[Math.floor(random() * 4)] ?? 'none';
  const wish = wishOf({ agent, session: session(), owner, type, ...range });
  // What is given back, or made less, is not held any more before that is known.
  if (type !== 'exclusive') told.held = granted(told.held, { ...wish, type: 'none' });
  const inTheWay = await namespace.lock(root, FILE, wish);
  if (!inTheWay && type !== 'none' && wish.session === session()) told.granted(wish);
}

async function run(seed: number, lossRate: number): Promise<Told> {
  const random = randomFrom(seed);
  let isStormy = false;
  const weather = { random, lossRate: () => (isStormy ? lossRate : 0) };
  const { rows, agents, clock, open } = lockingAgents((inner) => yieldingMetastore(inner, weather));
  const told = new Told();
  const sessions = new Map<string, number>();
  const sessionOf = (agent: string) => `${agent}-${sessions.get(agent) ?? 0}`;
  const begin = (namespace: RunningNamespace, agent: string) =>
    namespace.beginLocks(root, { agent, session: sessionOf(agent), isNew: true });

  const running = await Promise.all(
    Array.from({ length: AGENTS }, async (_, i) => {
      const agent = `agent${i}`;
      const namespace = await open();
      await agents.join(agent);
      await begin(namespace, agent);
      return { agent, namespace };
    }),
  );
  isStormy = true;
  const unlessFault = async (doing: Promise<unknown>) =>
    doing.catch((error: unknown) => void (isFault(error) ? undefined : told.bugs.push(error)));
  const actors = running.flatMap(({ agent, namespace }) =>
    Array.from({ length: OWNERS }, async (_, i) => {
      const actor = { namespace, told, random, session: () => sessionOf(agent), agent, owner: `${agent}/${i}` };
      for (let acts = 0; acts < ACTS; acts++) await unlessFault(act(actor));
    }),
  );
  /** One agent's mount ends, its locks with it, and another begins; somebody sweeps meanwhile. */
  const restarts = async () => {
    const { agent, namespace } = running[0] as (typeof running)[0];
    for (let i = 0; i < 3; i++) {
      told.gone(agent);
      sessions.set(agent, i + 1);
      await unlessFault(begin(namespace, agent));
      await unlessFault(sweepLocks({ metastore: rows, clock, random }));
    }
  };
  await Promise.all([...actors, restarts()]);
  return told;
}

describe('locks of many agents at once', () => {
  it.each([
    ['', 0],
    [', though commits and their answers are lost', 0.1],
  ])('are never held by two that exclude each other%s', async (_, lossRate) => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const { twice, bugs } = await run(seed, lossRate);
        expect(bugs).toEqual([]);
        expect(twice).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});
