import type { EmbeddedMetastore } from '#agent/embedded/heap-metastore.ts';
import { LeatError } from '#shared/model/faults.ts';

/** A small generator of numbers from 0 to below 1 (mulberry32), so that a seed repeats a run. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Weather {
  readonly random: () => number;
  /** Of so many commits the answer, or the commit itself, is lost; none while this says 0. */
  readonly lossRate?: () => number;
}

const TURNS_MAX = 4;

/** A metastore at the end of a network: every call takes a while on its way there, and another on its way back. */
export function yieldingMetastore(inner: EmbeddedMetastore, { random, lossRate }: Weather): EmbeddedMetastore {
  const travel = async () => {
    for (let turns = Math.floor(random() * TURNS_MAX); turns > 0; turns--) await new Promise(setImmediate);
  };
  const lose = () => {
    if (lossRate && random() < lossRate()) throw new LeatError('unavailable', 'lost on the way');
  };
  async function call<Result>(act: () => Promise<Result>): Promise<Result> {
    await travel();
    const result = await act();
    await travel();
    return result;
  }
  return {
    ...inner,
    get: (keys) => call(() => inner.get(keys)),
    list: (directory, options) => call(() => inner.list(directory, options)),
    commit: (changes, options) =>
      call(async () => {
        lose();
        const result = await inner.commit(changes, options);
        lose();
        return result;
      }),
  };
}
