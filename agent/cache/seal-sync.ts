import { closeSync, openSync, statSync, utimesSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { syncFileSystem } from './libc.ts';
import { partPath, sealedPath, SYNCED_STAMP, UNSYNCED_STAMP } from './sealed.ts';
import { parseUnit } from './units.ts';

/** By then the kernel has written most of it by itself, so that the sync finds little to do. */
const SYNC_AFTER_MS = 60_000;
/** Bounds the list of what waits for the sync. */
const WAITING_MAX = 100_000;
const STAMPS_AT_ONCE = 100;

/**
 * Gives files the stamp that survives a power loss, once their bytes are on the disk: one `syncfs` for all that were closed
 * since the last one, for an fsync of each would cost more than fetching it.
 */
export class SealSync {
  readonly #dir: string;
  #waiting = new Set<string>();
  #syncing = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** A unit that bears the stamp of this boot: sealed, or a part that was closed. */
  note(unit: string): void {
    this.#waiting.add(unit);
    if (this.#closed) return;
    if (this.#waiting.size >= WAITING_MAX) void this.#syncSoon();
    else this.#timer ??= setTimeout(() => void this.#syncSoon(), SYNC_AFTER_MS).unref();
  }

  /** The file goes; another one of its name may come, which is not on the disk when this one was. */
  forget(unit: string): void {
    this.#waiting.delete(unit);
    this.#syncing.delete(unit);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#syncSoon();
  }

  #syncSoon(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running = this.#running.then(() => this.#sync());
    return this.#running;
  }

  async #sync(): Promise<void> {
    if (this.#waiting.size === 0) return;
    this.#syncing = this.#waiting;
    this.#waiting = new Set();
    // Without `syncfs` the files keep the stamp of this boot, and are fetched again after the next.
    if (await this.#flush()) await this.#stampAll();
    this.#syncing = new Set();
  }

  async #flush(): Promise<boolean> {
    let fd: number | undefined;
    try {
      fd = openSync(this.#dir, 'r');
      return await syncFileSystem(fd);
    } catch {
      return false;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  async #stampAll(): Promise<void> {
    let count = 0;
    for (const unit of this.#syncing) {
      this.#stamp(unit);
      if (++count % STAMPS_AT_ONCE === 0) await breathe();
    }
  }

  #stamp(unit: string): void {
    const { key, slice } = parseUnit(unit);
    const path = slice === undefined ? sealedPath(this.#dir, key) : partPath(this.#dir, key);
    try {
      const stat = statSync(path, { throwIfNoEntry: false });
      // Another time means that somebody writes to it, we or a stranger: then the stamp would be a lie.
      if (stat?.mtimeMs === UNSYNCED_STAMP * 1000) utimesSync(path, stat.atimeMs / 1000, SYNCED_STAMP);
    } catch {
      // It keeps the stamp of this boot.
    }
  }
}
