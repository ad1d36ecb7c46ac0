import { fstatSync, ftruncateSync } from 'node:fs';
import { mapped } from './syscalls.ts';

const CHUNK_BYTES = 1 << 20;
const CHUNK_HEADER = 64;
/** A chunk holds records of one of these sizes. */
const SIZES = [88, 160, 384, 576] as const;
/** The first chunk is no chunk of records: the session's own, see `KeptIds`. */
export const RECORDS_START = CHUNK_BYTES;

/** Where a record stands: its chunk, and the first byte of it there. */
export interface Slot {
  readonly view: DataView;
  readonly bytes: Buffer;
  readonly at: number;
}

interface Chunk {
  readonly view: DataView;
  readonly bytes: Buffer;
}

/**
 * Records in memory that survives the process: a file without a name, which the supervisor keeps for the successor. A record
 * lies in a slot, whose first word is its kind, and 0 while nothing is there. Slots that are free are used again, so that there
 * are as many as there were records at a time.
 */
export class SessionMemory {
  readonly #fd: number;
  readonly #chunks: Chunk[] = [];
  /** By size, the positions of free slots. */
  readonly #free = new Map<number, number[]>(SIZES.map((size) => [size, []]));

  constructor(fd: number) {
    this.#fd = fd;
    const { size } = fstatSync(fd);
    for (let offset = RECORDS_START; offset + CHUNK_BYTES <= size; offset += CHUNK_BYTES) {
      const chunk = this.#map(offset);
      // One whose size was not written yet has no records.
      const slotBytes = chunk.view.getUint32(0, true);
      if (slotBytes > 0) this.#offer(slotBytes, this.#chunks.length - 1);
    }
  }

  /** A free slot of at least so many bytes. The caller writes the record, and its kind last. */
  add(length: number): number {
    const size = SIZES.find((each) => each >= length);
    const free = size && this.#free.get(size);
    if (!free) throw new Error(`invariant: a record of ${length} bytes is longer than any`);
    if (free.length === 0) this.#grow(size);
    return free.pop() ?? 0;
  }

  remove(position: number): void {
    const { view, at } = this.slot(position);
    view.setUint32(at, 0, true);
    const chunk = this.#chunkOf(position);
    this.#free.get(chunk.view.getUint32(0, true))?.push(position);
  }

  slot(position: number): Slot {
    const { view, bytes } = this.#chunkOf(position);
    return { view, bytes, at: position % CHUNK_BYTES };
  }

  /** The positions of all records of a kind. */
  *all(kind: number): Generator<number> {
    for (const [index, { view }] of this.#chunks.entries()) {
      const size = view.getUint32(0, true);
      if (size === 0) continue;
      for (const at of slotsOf(size)) {
        if (view.getUint32(at, true) === kind) yield (index + 1) * CHUNK_BYTES + at;
      }
    }
  }

  #chunkOf(position: number): Chunk {
    const chunk = this.#chunks[Math.floor(position / CHUNK_BYTES) - 1];
    if (!chunk) throw new Error(`invariant: there is no record at ${position}`);
    return chunk;
  }

  #grow(size: number): void {
    const offset = (this.#chunks.length + 1) * CHUNK_BYTES;
    ftruncateSync(this.#fd, offset + CHUNK_BYTES);
    this.#map(offset).view.setUint32(0, size, true);
    this.#offer(size, this.#chunks.length - 1);
  }

  #map(offset: number): Chunk {
    const memory = mapped(this.#fd, offset, CHUNK_BYTES);
    const chunk = { view: new DataView(memory), bytes: Buffer.from(memory) };
    this.#chunks.push(chunk);
    return chunk;
  }

  /** The last is taken first, so the first slots are used first, and memory that is never needed is never touched. */
  #offer(size: number, index: number): void {
    const view = this.#chunks[index]?.view;
    const free = this.#free.get(size);
    const empty = [...slotsOf(size)].filter((at) => view?.getUint32(at, true) === 0);
    for (const at of empty.toReversed()) free?.push((index + 1) * CHUNK_BYTES + at);
  }
}

function* slotsOf(size: number): Generator<number> {
  for (let at = CHUNK_HEADER; at + size <= CHUNK_BYTES; at += size) yield at;
}
