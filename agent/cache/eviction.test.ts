import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { invariant } from '#shared/model/faults.ts';
import { EvictionQueues } from './eviction.ts';

const CAPACITY = 100;

/** A cache of units that all weigh 1, as small as can be around the queues. */
function tinyCache(capacity = CAPACITY) {
  const queues = new EvictionQueues(capacity);
  const slots = new Map<number, number>();
  const names = new Map<number, number>();
  const use = (unit: number): boolean => {
    const slot = slots.get(unit);
    if (slot !== undefined) {
      queues.touch(slot);
      return true;
    }
    if (queues.size >= capacity) {
      const gone = queues.evict(() => false) ?? -1;
      slots.delete(names.get(gone) ?? -1);
    }
    const added = queues.add(unit * 2_654_435_761, 1);
    slots.set(unit, added);
    names.set(added, unit);
    return false;
  };
  return { queues, use, slots };
}

describe('eviction', () => {
  it('keeps a hot set through a scan that is ten times the cache', () => {
    const { use } = tinyCache();
    const hot = Array.from({ length: 50 }, (_, i) => i);
    for (let round = 0; round < 5; round++) for (const unit of hot) use(unit);
    for (let unit = 1000; unit < 1000 + 10 * CAPACITY; unit++) use(unit);
    expect(hot.filter((unit) => use(unit)).length).toBeGreaterThanOrEqual(45);
  });

  it('lets who comes back soon into the main queue', () => {
    const { use, slots } = tinyCache();
    use(1);
    for (let unit = 100; unit < 100 + CAPACITY; unit++) use(unit);
    expect(slots.has(1)).toBe(false);
    use(1);
    for (let unit = 300; unit < 300 + CAPACITY; unit++) use(unit);
    expect(slots.has(1)).toBe(true);
  });

  it('finds no victim when all are busy, and the only one that is not', () => {
    const queues = new EvictionQueues(CAPACITY);
    const slots = Array.from({ length: 20 }, (_, i) => queues.add(i, 10));
    expect(queues.evict(() => true)).toBeUndefined();
    expect(queues.evict((slot) => slot !== slots[13])).toBe(slots[13]);
    expect(queues.size).toBe(19);
  });

  it('finds the one that is not busy though it was used again', () => {
    const queues = new EvictionQueues(CAPACITY);
    const [busy, used] = [queues.add(1, 1, true), queues.add(2, 1, true)];
    queues.touch(used);
    expect(queues.evict((slot) => slot === busy)).toBe(used);
  });

  it('evicts each unit exactly once, whatever has happened to it', () => {
    const act = fc.oneof(
      fc.record({ act: fc.constant('add' as const), hash: fc.nat(40), weight: fc.nat(30), proven: fc.boolean() }),
      fc.record({ act: fc.constantFrom('touch' as const, 'remove' as const, 'resize' as const), pick: fc.nat(100) }),
      fc.record({ act: fc.constant('evict' as const), busy: fc.nat(3) }),
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
        const queues = new EvictionQueues(CAPACITY);
        const here = new Set<number>();
        for (const step of acts) perform(queues, here, step);
        const size = queues.size;
        const left = Array.from(here, () => queues.evict(() => false));
        expect([size, new Set(left).size, queues.evict(() => false)]).toEqual([here.size, here.size, undefined]);
      }),
    );
  });
});

type Step =
  | { act: 'add'; hash: number; weight: number; proven: boolean }
  | { act: 'touch' | 'remove' | 'resize'; pick: number }
  | { act: 'evict'; busy: number };

function perform(queues: EvictionQueues, here: Set<number>, step: Step): void {
  if (step.act === 'add') {
    const slot = queues.add(step.hash, step.weight, step.proven);
    invariant(!here.has(slot), 'a slot in use is not handed out');
    here.add(slot);
    return;
  }
  if (step.act === 'evict') {
    const slot = queues.evict((candidate) => candidate % 4 === step.busy);
    const right = slot === undefined ? Array.from(here).every((other) => other % 4 === step.busy) : here.delete(slot);
    invariant(right, 'a victim is here and not busy, and found if there is one');
    return;
  }
  const slot = Array.from(here)[step.pick % here.size];
  if (slot === undefined) return;
  if (step.act === 'touch') queues.touch(slot);
  else if (step.act === 'resize') queues.resize(slot, step.pick);
  else {
    queues.remove(slot);
    here.delete(slot);
  }
}
