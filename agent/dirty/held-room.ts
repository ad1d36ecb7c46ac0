import { readdir, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { LeatError } from '#shared/model/faults.ts';
import type { DataCache } from '../cache/data-cache.ts';
import type { DirtyFile } from './dirty-file.ts';
import { STAT_BLOCK_BYTES } from './local-calls.ts';

const LOOK_MS = 250;
const LOOKS_MAX = 300;
const PAUSE_MS = 100;

interface RoomMeans {
  readonly written: () => Iterable<DirtyFile>;
  /** Something is on its way to a store, and gives up its room then. */
  readonly mayCome: () => boolean;
}

/**
 * What dirty files take of the cache's room. They are written without anybody being asked, so they are looked at again and
 * again while they are, and whoever writes learns how much is left.
 */
export class HeldRoom {
  readonly #cache: DataCache;
  readonly #means: RoomMeans;
  readonly #listeners = new Set<(bytes: number) => void>();
  readonly #held = new Map<DirtyFile, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(cache: DataCache, means: RoomMeans) {
    this.#cache = cache;
    this.#means = means;
  }

  /** Called with the bytes that are left, now and whenever that has been looked at. */
  onRoom(listener: (bytes: number) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#cache.heldRoom());
    return () => this.#listeners.delete(listener);
  }

  /** Files that rest from earlier. */
  async countOld(dir: string): Promise<void> {
    for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const found = await stat(`${entry.parentPath}/${entry.name}`).catch(() => undefined);
      if (found) this.#cache.hold(found.blocks * STAT_BLOCK_BYTES);
    }
    this.#tell();
  }

  /** A file begins to be written, or goes on. What it has already is counted, unless it is new here. */
  begin(file: DirtyFile, isNew: boolean): void {
    this.#held.set(file, isNew ? 0 : file.blocks * STAT_BLOCK_BYTES);
    if (isNew) this.#count(file);
    this.#timer ??= setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** Nobody writes it any more; it stays as it is. */
  rest(file: DirtyFile): void {
    this.#count(file);
    this.#held.delete(file);
    if (this.#held.size === 0) this.#stop();
  }

  /** It is about to leave, whether it rests or not. */
  gone(file: DirtyFile): void {
    this.#cache.hold(-(this.#held.get(file) ?? file.blocks * STAT_BLOCK_BYTES));
    this.#held.delete(file);
    if (this.#held.size === 0) this.#stop();
  }

  /** Counts what is being written; answers the bytes that are left. */
  look(): number {
    for (const file of this.#means.written()) if (this.#held.has(file)) this.#count(file);
    this.#tell();
    return this.#cache.heldRoom();
  }

  /** Waits for room while some may come; `noSpace` when none does. */
  async demand(bytes: number): Promise<void> {
    for (let looks = 1; this.look() < bytes; looks++) {
      if (!this.#means.mayCome() || looks === LOOKS_MAX) {
        throw new LeatError(
          'noSpace',
          'what is written here fills the cache; make cache.size larger, or remove something',
        );
      }
      await sleep(PAUSE_MS);
    }
  }

  close(): void {
    this.#stop();
  }

  #count(file: DirtyFile): void {
    const before = this.#held.get(file) ?? 0;
    const now = file.blocks * STAT_BLOCK_BYTES;
    if (now !== before) this.#cache.hold(now - before);
    this.#held.set(file, now);
  }

  #tell(): void {
    const bytes = this.#cache.heldRoom();
    for (const listener of this.#listeners) listener(bytes);
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#tell();
  }
}
