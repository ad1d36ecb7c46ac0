import type { Fingerprint, StoreKey } from '#shared/model/inode.ts';
import { joinPath, type Name, type Path } from '#shared/model/names.ts';
import { type StoreEntry, STORE_PAGE_ENTRIES, type UnderStore } from '#shared/ports/under-store.ts';
import { memoryUnderStore } from '#shared/under-stores/memory.ts';

export const FAN_OUT = 100;
const MTIME = 1_780_000_000_000_000_000n;

/** A store that holds a tree of any size and nothing in memory: 100 directories in each, and 100 files in the lowest. */
export function deepStore(files: number): UnderStore {
  const depth = depthOf(files);
  const entries = (directory: StoreKey): StoreEntry[] => {
    const numbers = directory === '' ? [] : directory.split('/').map((name) => Number(name.slice(1)));
    const below = FAN_OUT ** (depth - numbers.length);
    const first = numbers.reduce((sum, number, i) => sum + number * FAN_OUT ** (depth - i), 0);
    const count = Math.min(FAN_OUT, Math.ceil((files - first) / below));
    return Array.from({ length: Math.max(count, 0) }, (_, i) => entryOf(directory, i, numbers.length === depth));
  };
  return {
    ...memoryUnderStore(),
    uri: `deep:${files}`,
    supports: { directories: true, move: true },
    async list(directory) {
      const all = entries(directory);
      if (all.length > STORE_PAGE_ENTRIES) throw new Error('invariant: a directory is one page');
      return { entries: all, unnameable: 0 };
    },
    async stat(key) {
      const [, directory = '', name] = /^(?:(.*)\/)?([^/]*)$/.exec(key) ?? [];
      return entries(directory as StoreKey).find((entry) => entry.key.endsWith(name ?? ''));
    },
    async close() {},
  };
}

/** How many directories a file's path passes below the mount. */
function depthOf(files: number): number {
  let depth = 1;
  while (FAN_OUT ** (depth + 1) < files) depth++;
  return depth;
}

function entryOf(directory: StoreKey, number: number, isFile: boolean): StoreEntry {
  const name = `${isFile ? 'f' : 'd'}${String(number).padStart(7, '0')}`;
  const key = (directory === '' ? name : `${directory}/${name}`) as StoreKey;
  if (!isFile) return { key, kind: 'directory', size: 0 };
  // As S3 has it: an ETag of 32 digits and a time.
  const fingerprint = number.toString(16).padStart(32, '0') as Fingerprint;
  return { key, kind: 'file', size: 100_000 + number, mtime: MTIME, fingerprint };
}

/** The directory that holds the files `leaf * 100` and on. */
export function leafPath(mount: Path, files: number, leaf: number): Path {
  const depth = depthOf(files);
  let path = mount;
  for (let level = depth - 1; level >= 0; level--) {
    path = joinPath(path, `d${String(Math.floor(leaf / FAN_OUT ** level) % FAN_OUT).padStart(7, '0')}` as Name);
  }
  return path;
}

export const leafFile = (number: number) => `f${String(number).padStart(7, '0')}` as Name;
