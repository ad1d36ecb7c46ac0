import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CachedFile, DataCache } from '#agent/cache/data-cache.ts';
import { dataCache } from '#agent/cache/data-cache.ts';
import { isSealed, sealedPath } from '#agent/cache/sealed.ts';
import { LeatError } from '#shared/model/faults.ts';
import { sequentialId } from '#shared/model/ids.ts';
import { matches, patternedSource } from '../support/patterned-source.ts';
import { cacheDiskBytes } from '../support/temporary-cache.ts';

const MIB = 1024 * 1024;
/** One page, a few, more than one slice; none of them a round number of pages. */
const SIZES = [0, 1, 1000, MIB, MIB + 1, 5 * MIB + 17, 70 * MIB + 4097];

/** Fractions of the largest that lie at the border of its two slices. */
const BORDERS = [63 * MIB, 63.9 * MIB, 64 * MIB].map((offset) => offset / (SIZES.at(-1) ?? 1));

const file = fc.nat(SIZES.length - 1);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant('read' as const),
      file,
      at: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(...BORDERS)),
      length: fc.constantFrom(1, 5000, 300_000, 2 * MIB),
    }),
  },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('load' as const), file }) },
  {
    weight: 2,
    arbitrary: fc.record({ act: fc.constantFrom('close' as const, 'drop' as const, 'cancel' as const), file }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom('wait' as const, 'restart' as const, 'die' as const) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('fail' as const), requests: fc.integer({ min: 1, max: 4 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** A cache with everything around it that a run needs: files kept open, a store that fails when told to, the state of the disk. */
class Run {
  readonly dir = mkdtempSync(join(tmpdir(), 'leat-cache-'));
  readonly capacityBytes: number;
  readonly faults: string[] = [];
  failures = 0;
  #evictions = 0;
  #life = 0;
  #cache: DataCache;
  readonly #open = new Map<number, CachedFile>();
  #pending: Promise<void>[] = [];

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes;
    this.#cache = this.#start();
  }

  async perform(step: Step): Promise<void> {
    if (step.act === 'read') this.#pending.push(this.#read(step.file, step));
    else if (step.act === 'load') this.#pending.push(this.#load(step.file));
    else if (step.act === 'cancel') this.#pending.push(this.#cancel(step.file));
    else if (step.act === 'drop') this.#cache.drop({ id: sequentialId(step.file), generation: 0 });
    else if (step.act === 'fail') this.failures = step.requests;
    else if (step.act === 'close') await this.#closeFile(step.file);
    else if (step.act === 'restart') await this.restart();
    else if (step.act === 'die') await this.#die();
    else await breathe();
    this.#checkRoom();
  }

  async finish(): Promise<void> {
    await this.restart();
    await this.#cache.close();
    this.#checkRoom();
    rmSync(this.dir, { recursive: true });
  }

  async restart(): Promise<void> {
    for (const index of this.#open.keys()) await this.#closeFile(index);
    await this.#cache.close();
    this.#cache = this.#start();
  }

  /** As a process that is killed: nothing is closed, and the next one finds the disk as it is. */
  async #die(): Promise<void> {
    this.#life++;
    await Promise.all(this.#pending);
    await breathe();
    this.#pending = [];
    this.#open.clear();
    this.#cache = this.#start();
  }

  #start(): DataCache {
    const { dir, capacityBytes } = this;
    const clock = () => performance.now() + 1e12;
    const fault = (what: string) => this.faults.push(what);
    return dataCache({
      dir,
      capacityBytes,
      filesMax: 5,
      memoryBytes: 8 * MIB,
      identity: 'x',
      clock,
      onEvicted: () => this.#evictions++,
      log: fault,
    });
  }

  #file(index: number): CachedFile {
    const known = this.#open.get(index);
    if (known) return known;
    const life = this.#life;
    const strike = () => {
      if (life !== this.#life) throw new LeatError('unavailable', 'its process is dead');
      if (this.failures > 0 && this.failures-- > 0) throw new LeatError('unavailable', 'struck');
    };
    const { fetch } = patternedSource({ seed: index, chunk: MIB / 2, strike });
    const opened = this.#cache.open({ id: sequentialId(index), generation: 0 }, SIZES[index] ?? 0, fetch);
    this.#open.set(index, opened);
    return opened;
  }

  async #read(index: number, { at, length }: { at: number; length: number }): Promise<void> {
    const size = SIZES[index] ?? 0;
    const offset = Math.floor(at * size);
    const into = new Uint8Array(length);
    await this.#tolerating(async () => {
      const count = await this.#file(index).read(into, offset);
      if (count !== Math.min(length, size - offset)) this.faults.push(`${index}: ${count} bytes at ${offset}`);
      if (!matches(into.subarray(0, count), index, offset)) this.faults.push(`${index}: wrong bytes at ${offset}`);
    });
  }

  async #cancel(index: number): Promise<void> {
    const controller = new AbortController();
    const reading = this.#file(index).read(new Uint8Array(10), 0, controller.signal);
    controller.abort();
    await this.#tolerating(async () => void (await reading));
  }

  async #load(index: number): Promise<void> {
    const size = SIZES[index] ?? 0;
    const path = sealedPath(this.dir, { id: sequentialId(index), generation: 0 });
    await this.#tolerating(async () => {
      const evictions = this.#evictions;
      const loaded = await this.#file(index).load();
      // Another reader may have pushed it out before this line was reached.
      if (loaded && evictions === this.#evictions && !isSealed(path, size))
        this.faults.push(`${index}: loaded but not sealed`);
    });
  }

  async #tolerating(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const expected = error instanceof LeatError && ['unavailable', 'interrupted'].includes(error.kind);
      if (!expected) this.faults.push(String(error));
    }
  }

  async #closeFile(index: number): Promise<void> {
    await Promise.all(this.#pending);
    this.#pending = [];
    this.#open.get(index)?.close();
    this.#open.delete(index);
  }

  /** The disk never holds more than the capacity, and the cache knows how much it holds. */
  #checkRoom(): void {
    const { usedBytes } = this.#cache.usage();
    const onDisk = cacheDiskBytes(this.dir);
    if (onDisk > this.capacityBytes) this.faults.push(`${onDisk} bytes on the disk`);
    if (usedBytes > this.capacityBytes) this.faults.push(`${usedBytes} bytes in the books`);
  }
}

describe('the data cache', () => {
  it('reads as the source does, whatever is read, evicted, dropped, cancelled, failing or restarted, and never outgrows its capacity', async () => {
    const capacity = fc.constantFrom(0, 1, 3, 9, 30, 150).map((pages) => pages * MIB);
    await fc.assert(
      fc.asyncProperty(capacity, fc.array(step, { maxLength: 25 }), async (capacityBytes, steps) => {
        const run = new Run(capacityBytes);
        for (const act of steps) await run.perform(act);
        await run.finish();
        expect(run.faults).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
