import { isFault, LeatError } from '#shared/model/faults.ts';
import { baseName, joinPath, type Name, NAME_BYTES_MAX, parentOf } from '#shared/model/names.ts';
import type { Actor, Found, Namespace } from '#shared/namespace/namespace.ts';
import type { DirtyFile } from './dirty-file.ts';

const NAMES_MAX = 100;

export interface ConflictDeps {
  readonly namespace: Namespace;
  readonly holder: string;
  readonly actor: Actor;
}

/**
 * What was written here upon a content that the store has not any more is kept beside it, as `name.conflict-…`; the name itself
 * shows what the store has. Answers where it is kept.
 */
export async function keptBeside(
  { namespace, holder, actor }: ConflictDeps,
  file: DirtyFile,
  found: Found,
): Promise<Found> {
  const { mode, uid, gid } = found.inode;
  const at = file.rowOf;
  if (!at) throw new Error('invariant: a file in conflict has a place');
  for (let number = 1; number <= NAMES_MAX; number++) {
    const path = joinPath(parentOf(found.path), conflictName(baseName(found.path), number));
    try {
      // As the owner of the file: the sibling is his too.
      const inode = await namespace.create({ ...actor, uid, gid }, path, { mode, holder });
      await namespace.abandon(actor, at);
      file.become({ directory: at.directory, name: baseName(path) }, inode);
      return { path, inode };
    } catch (error) {
      if (!isFault(error, 'exists')) throw error;
    }
  }
  throw new LeatError(
    'exists',
    `${found.path}: ${NAMES_MAX} conflicting contents are kept beside it; look at them first`,
  );
}

/** Why a row refuses what was written: a listing has told of another content since the file was opened. */
export async function replacedBy(
  { namespace }: Pick<ConflictDeps, 'namespace'>,
  file: DirtyFile,
  refusal: unknown,
): Promise<{ readonly conflict: Found }> {
  const conflict = isFault(refusal, 'changed') && file.rowOf ? await namespace.find(file.rowOf) : undefined;
  if (!conflict) throw refusal;
  return { conflict };
}

function conflictName(name: Name, number: number): Name {
  const suffix = `.conflict-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}${number === 1 ? '' : `-${number}`}`;
  return `${name.slice(0, NAME_BYTES_MAX - suffix.length)}${suffix}` as Name;
}
