import { realpathSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LeatError } from '#shared/model/faults.ts';
import type { MountId } from '#shared/model/inode.ts';
import { toText } from '#shared/model/names.ts';
import type { Found, Mount } from '#shared/namespace/namespace.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { openUnderStore } from '#shared/under-stores/open.ts';
import type { Fetch } from './cache/data-cache.ts';

/** The open stores of this agent. */
export interface Stores {
  storeOf(mount: Mount): UnderStore;
  /** How the bytes of a file come from its store: of the version that was found, or `changed`. */
  fetchFor(found: Found): Fetch;
  of(mount: MountId): UnderStore | undefined;
  /** Throws for a folder in which the agent itself lives, and for one that holds such a folder. */
  demandMountable(uri: string): void;
}

/**
 * `taken` are the folders in which the agent itself lives, without symlinks: showing one in the namespace would never end. They
 * are not looked at: where the namespace is mounted, a look at the mount point is a question that this thread has to answer.
 */
export function openStores(taken: readonly string[]): Stores {
  const open = new Map<MountId, UnderStore>();
  return {
    demandMountable: (uri) => refuseOwnFolders(uri, taken),
    storeOf(mount) {
      refuseOwnFolders(mount.uri, taken);
      const store = openUnderStore(mount);
      open.set(mount.id, store);
      return store;
    },
    fetchFor: ({ path, inode: { fingerprint, dirty }, origin }) => {
      const store = origin && open.get(origin.mount);
      return async (range, sink, signal) => {
        if (dirty) {
          const what = `its bytes are at agent ${dirty.holder}, which has not stored them yet`;
          throw new LeatError('unavailable', `${toText(path)}: ${what}`);
        }
        if (!store)
          throw new LeatError('unavailable', `${toText(path)}: the store that holds its bytes is not mounted`);
        await store.read(origin.key, range, sink, { signal, ...(fingerprint !== undefined && { fingerprint }) });
      };
    },
    of: (mount) => open.get(mount),
  };
}

function refuseOwnFolders(uri: string, own: readonly string[]): void {
  if (!uri.startsWith('file:')) return;
  const named = fileURLToPath(uri);
  // What plainly lies in one of them is not looked at, for the same reason.
  const folder = own.some((one) => isInside(named, one)) ? named : truePath(named);
  for (const one of own) {
    const shows = isInside(one, folder);
    if (!shows && !isInside(folder, one)) continue;
    const why = shows
      ? `holds ${one}, which belongs to this agent, and would show itself without end`
      : `lies in ${one}`;
    throw new LeatError('invalid', `${folder} cannot be mounted: it ${why}; move that elsewhere with --at or --data`);
  }
}

/** Without symlinks, as far as it is there already. */
function truePath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path === dirname(path) ? path : join(truePath(dirname(path)), basename(path));
  }
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || !(way === '..' || way.startsWith('../'));
}
