import * as fs from 'node:fs/promises';
import { isFault, LeatError } from '../model/faults.ts';
import { childKey, type StoreKey } from '../model/inode.ts';
import { toText } from '../model/names.ts';
import { codeOf, isAbsence, localFault } from './local-files.ts';
import { TEMPORARY_PREFIX } from './local-names.ts';
import { StoppedRead } from './stopped-read.ts';

/** Where the keys of a local store lie, and that no way to one leads out of its folder. */
export class LocalFolder {
  readonly uri: string;
  readonly #base: string;

  constructor(root: string) {
    this.uri = `file://${root}`;
    this.#base = Buffer.from(root.replace(/\/+$/, '') || '/').toString('latin1');
  }

  path(key: StoreKey): Buffer {
    return Buffer.from(key === '' ? this.#base : `${this.#base}/${key}`, 'latin1');
  }

  /** Beside the key, and hidden. */
  temporary(key: StoreKey, id: string): Buffer {
    return this.path(childKey(parentOf(key), `${TEMPORARY_PREFIX}${id}`));
  }

  /** One by one: made all at once they would be made behind a symlink too. */
  async makeParents(key: StoreKey): Promise<void> {
    for (const above of directoriesAbove(key)) {
      await this.#demandDirectory(above).catch(async (error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error;
        await fs.mkdir(this.path(above)).catch((failed: unknown) => {
          if (codeOf(failed) !== 'EEXIST') throw failed;
        });
        await this.#demandDirectory(above);
      });
    }
  }

  /** Every directory on the way is a real one: a symlink would lead out of the folder. */
  async demandInside(key: StoreKey): Promise<void> {
    for (const above of directoriesAbove(key)) await this.#demandDirectory(above);
  }

  async #demandDirectory(key: StoreKey): Promise<void> {
    if ((await fs.lstat(this.path(key))).isDirectory()) return;
    throw new LeatError('notDirectory', `${toText(key)} is not a directory`);
  }

  /** False when a directory on the way is missing or is something else. */
  async isInside(key: StoreKey): Promise<boolean> {
    try {
      await this.demandInside(key);
      return true;
    } catch (error) {
      if (isAbsence(error) || isFault(error, 'notDirectory')) return false;
      throw error;
    }
  }

  async attempt<Result>(what: string, key: StoreKey, act: () => Promise<Result>): Promise<Result> {
    await this.#demandRoot();
    return this.explained(what, key, act);
  }

  async #demandRoot(): Promise<void> {
    const root = await fs.stat(this.path('' as StoreKey)).catch(() => undefined);
    if (!root?.isDirectory())
      throw new LeatError('unavailable', `${this.uri}: the folder is not there; is its disk or NAS mounted?`);
  }

  async explained<Result>(what: string, key: StoreKey, act: () => Promise<Result>): Promise<Result> {
    try {
      return await act();
    } catch (error) {
      if (error instanceof StoppedRead) throw error.cause;
      if (isAbsence(error)) await this.#demandRoot();
      throw localFault(error, `${this.uri}/${toText(key)}: ${what}`);
    }
  }
}

/** From the top down; of `a/b/` also `a/b`. */
function directoriesAbove(key: StoreKey): StoreKey[] {
  const names = key.split('/').slice(0, -1);
  return key.startsWith('/') ? [] : names.map((_, i) => names.slice(0, i + 1).join('/') as StoreKey);
}

export const parentOf = (key: StoreKey): StoreKey => key.slice(0, Math.max(0, key.lastIndexOf('/'))) as StoreKey;
