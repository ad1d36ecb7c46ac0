import { renameSync, unlink, unlinkSync } from 'node:fs';
import type { Eviction } from './cache-index.ts';

/** Unlinking more than this takes milliseconds, so it is done by another thread. */
const INLINE_BYTES_MAX = 64 * 1024 * 1024;

/** The name of a file that is being unlinked: its own may be needed again before that is done. */
export const LEAVING_PREFIX = 'leaving-';

/** Removes cached files. What is gone already counts as removed. */
export class FileRemover {
  readonly #dir: string;
  readonly #log: (message: string) => void;
  #count = 0;

  constructor(dir: string, log: (message: string) => void) {
    this.#dir = dir;
    this.#log = log;
  }

  remove(path: string, bytes: number): Eviction {
    try {
      if (bytes <= INLINE_BYTES_MAX) {
        unlinkSync(path);
        return 'freed';
      }
      const leaving = `${this.#dir}/${LEAVING_PREFIX}${process.pid}-${this.#count++}`;
      renameSync(path, leaving);
      return { later: new Promise((resolve) => unlink(leaving, () => resolve())) };
    } catch (error) {
      return this.#refused(path, error);
    }
  }

  #refused(path: string, error: unknown): Eviction {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'freed';
    this.#log(`cache: ${path} cannot be removed (${message}); its room stays lost until it is`);
    return 'stuck';
  }
}
