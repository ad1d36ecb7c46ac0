import { closeSync, openSync, readFileSync, renameSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { PAGE_BYTES } from '../cache/page-map.ts';

/** The size of the base and its generation, as two f64. */
const HEADER_BYTES = 16;
/** Stands before it all in memory, and not in the file. */
const LOCK_BYTES = 8;
/** So many blocks at most are there of a base, unless they would be larger than what is fetched at once. */
const BLOCKS_MAX = 65_536;
const BLOCK_BYTES_MIN = 4096;
const PRIVATE = 0o600;

const STATES = ['changed', 'missing', 'same'] as const;
const CHANGED = 0;
const MISSING = 1;
const SAME = 2;

export interface BytesRange {
  readonly offset: number;
  readonly length: number;
}

export interface Run extends BytesRange {
  /** They are in the base only, in the file too and the same, or others. They go on from one to the next, never back. */
  readonly state: (typeof STATES)[number];
}

/** What a cut changes: of the block that it goes through, what stays has to be here. */
export const cutRange = (size: number): BytesRange => ({ offset: size, length: Number.POSITIVE_INFINITY });

/**
 * What a dirty file has of its base, the content that it is written upon: what is missing has not been fetched, and what is the
 * same needs not be sent to the store again. A byte for each block, in memory that both threads share and in a file beside it.
 * Blocks are smaller than the pages of the cache, as far as they are not too many: who writes here and there takes little room.
 */
export class BaseBlocks {
  /** To be handed to the other thread. */
  readonly memory: SharedArrayBuffer;
  readonly baseBytes: number;
  readonly baseGeneration: number;
  readonly #blockBytes: number;
  readonly #states: Uint8Array;
  readonly #lock: Int32Array;
  readonly #path: string;
  #fd: number | undefined;

  constructor(path: string, memory: SharedArrayBuffer) {
    const header = new DataView(memory, LOCK_BYTES);
    this.memory = memory;
    this.baseBytes = header.getFloat64(0);
    this.baseGeneration = header.getFloat64(8);
    this.#states = new Uint8Array(memory, LOCK_BYTES + HEADER_BYTES);
    this.#blockBytes = blockBytesOf(this.baseBytes, this.#states.length);
    this.#lock = new Int32Array(memory, 0, 1);
    this.#path = path;
  }

  /** Nothing has been written yet: the file has all of its base, or nothing. */
  static of(
    path: string,
    { size, generation, isHere }: { readonly size: number; readonly generation: number; readonly isHere: boolean },
  ): BaseBlocks {
    const blocks = Math.ceil(size / Math.min(blockBytesOf(size, BLOCKS_MAX), PAGE_BYTES));
    const memory = new SharedArrayBuffer(LOCK_BYTES + HEADER_BYTES + blocks);
    const header = new DataView(memory, LOCK_BYTES);
    header.setFloat64(0, size);
    header.setFloat64(8, generation);
    new Uint8Array(memory, LOCK_BYTES + HEADER_BYTES).fill(isHere ? SAME : MISSING);
    // Whole, whenever this process is killed: another map may be there.
    writeFileSync(`${path}.new`, Buffer.from(memory, LOCK_BYTES), { mode: PRIVATE });
    renameSync(`${path}.new`, path);
    return new BaseBlocks(path, memory);
  }

  /** What a process before has left; undefined: the file has no base any more. */
  static find(path: string, size: number): BaseBlocks | undefined {
    try {
      const bytes = readFileSync(path);
      const memory = new SharedArrayBuffer(LOCK_BYTES + bytes.length);
      new Uint8Array(memory, LOCK_BYTES).set(bytes);
      const found = new BaseBlocks(path, memory);
      // The file may have been cut, and the process killed before it said so here.
      found.cutTo(size);
      return found;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Some of it is not here. */
  get isPartial(): boolean {
    return this.#states.includes(MISSING);
  }

  /** All of the range is here. */
  isHere(range: BytesRange): boolean {
    const { first, end } = this.#over(range);
    return !this.#states.subarray(first, end).includes(MISSING);
  }

  /** All of a range, in order. Behind the end of the base all is changed. */
  runs({ offset, length }: BytesRange): Run[] {
    const runs: { state: Run['state']; offset: number; length: number }[] = [];
    for (let at = offset; at < offset + length;) {
      const block = Math.floor(at / this.#blockBytes);
      const isBehind = block >= this.#states.length;
      const end = isBehind ? offset + length : Math.min(offset + length, (block + 1) * this.#blockBytes);
      const state = STATES[this.#states[block] ?? CHANGED] ?? 'changed';
      const last = runs.at(-1);
      if (last?.state === state) last.length += end - at;
      else runs.push({ state, offset: at, length: end - at });
      at = end;
    }
    return runs;
  }

  /** What is missing of the blocks that a write of the range covers in part: whole blocks, two at most. */
  missingAtEnds(range: BytesRange): BytesRange[] {
    const { first, end } = this.#over(range);
    const inner = this.#within(range);
    const ends = first < end ? [...new Set([first, end - 1])] : [];
    return ends
      .filter((block) => this.#states[block] === MISSING && (block < inner.first || block >= inner.end))
      .map((block) => ({ offset: block * this.#blockBytes, length: this.#blockBytes }));
  }

  /** Fetched, whole blocks are written, but for those that somebody has changed meanwhile. */
  bring(range: BytesRange, write: (missing: BytesRange) => void): void {
    this.#alone(() => {
      for (const run of this.runs(range)) {
        if (run.state !== 'missing') continue;
        write(run);
        this.#turn(this.#over(run), { from: MISSING, to: SAME });
      }
    });
  }

  /** Missing blocks that `write` covers wholly are here once it has come to its end. */
  change(range: BytesRange, write: () => void): void {
    this.#alone(() => {
      this.#turn(this.#over(range), { from: SAME, to: CHANGED });
      write();
      this.#turn(this.#within(range), { from: MISSING, to: CHANGED });
    });
  }

  /** What lies behind an end of the file is nobody's: when the file grows again, there are zeros. */
  cutTo(size: number): void {
    this.change(cutRange(size), () => {});
  }

  moveTo(path: string): BaseBlocks {
    renameSync(this.#path, path);
    this.close();
    return new BaseBlocks(path, this.memory);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  remove(): void {
    this.close();
    unlinkSync(this.#path);
  }

  /** Both threads write: what one finds missing, the other leaves alone until it has been written. */
  #alone(act: () => void): void {
    while (Atomics.compareExchange(this.#lock, 0, 0, 1) !== 0) Atomics.wait(this.#lock, 0, 1);
    try {
      act();
    } finally {
      Atomics.store(this.#lock, 0, 0);
      Atomics.notify(this.#lock, 0, 1);
    }
  }

  #turn({ first, end }: Blocks, { from, to }: { readonly from: number; readonly to: number }): void {
    const states = this.#states.subarray(first, end);
    if (!states.includes(from)) return;
    for (const [i, state] of states.entries()) if (state === from) states[i] = to;
    this.#fd ??= openSync(this.#path, 'r+');
    writeSync(this.#fd, states, 0, states.length, HEADER_BYTES + first);
  }

  #over({ offset, length }: BytesRange): Blocks {
    const first = Math.floor(offset / this.#blockBytes);
    const end = length === 0 ? first : Math.ceil((offset + length) / this.#blockBytes);
    return { first, end: Math.max(first, Math.min(end, this.#states.length)) };
  }

  /** Those that the range covers wholly. The last block of the base may be short: who writes up to its end covers it. */
  #within({ offset, length }: BytesRange): Blocks {
    const first = Math.ceil(offset / this.#blockBytes);
    const last = offset + length;
    const end = last >= this.baseBytes ? this.#states.length : Math.floor(last / this.#blockBytes);
    return { first, end: length === 0 ? first : Math.max(first, end) };
  }
}

/** `[first, end)` */
interface Blocks {
  readonly first: number;
  readonly end: number;
}

/** Of the smallest blocks with which so many hold it. */
function blockBytesOf(size: number, blocks: number): number {
  let bytes = BLOCK_BYTES_MIN;
  while (Math.ceil(size / bytes) > blocks) bytes *= 2;
  return bytes;
}
