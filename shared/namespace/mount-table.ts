import { toLeatError } from '../model/faults.ts';
import { MOUNTS } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { toText } from '../model/names.ts';
import type { UnderStore } from '../ports/under-store.ts';
import type { Context } from './context.ts';
import type { Mount } from './namespace.ts';
import { unopenedStore } from './unopened-store.ts';

export const MOUNTS_MAX = 1000;

/**
 * Learns what is mounted. A store that cannot be opened shows when it is used, and hinders no other. What others have
 * unmounted is forgotten; its store is not closed under those who may still read from it.
 */
export async function loadMounts(context: Context): Promise<void> {
  const rows = await context.metastore.list(MOUNTS, { limit: MOUNTS_MAX });
  const mounts = rows.flatMap(({ row }) => (row.kind === 'record' ? [JSON.parse(row.body) as Mount] : []));
  for (const id of context.mounted.keys()) {
    if (!mounts.some((mount) => mount.id === id)) context.mounted.delete(id);
  }
  for (const mount of mounts) {
    if (!context.mounted.has(mount.id)) context.mounted.set(mount.id, { mount, store: opened(context, mount) });
  }
}

/** Before it matters what is mounted where, and others mount too. */
export async function refreshMounts(context: Context): Promise<void> {
  if (context.isShared) await loadMounts(context);
}

/** A row on the way tells of a mount that somebody else has made. */
export async function knowMount(context: Context, { mount }: Inode): Promise<void> {
  if (mount !== undefined && !context.mounted.has(mount)) await refreshMounts(context);
}

function opened(context: Context, made: Mount): UnderStore {
  try {
    return context.storeOf(made);
  } catch (error) {
    context.log(`${toText(made.path)} (${made.uri}): cannot be opened: ${toLeatError(error).message}`);
    return unopenedStore(made, error);
  }
}
