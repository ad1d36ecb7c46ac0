import { type FaultKind, isFault } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import { parsePath } from '#shared/model/names.ts';
import type { Actor, Namespace, Request } from '#shared/namespace/namespace.ts';

/** What clients ask for. Paths have no symlinks. */
export type Operation =
  | { readonly act: 'create' | 'mkdir' | 'unlink' | 'rmdir' | 'removeTree' | 'stat' | 'list'; readonly path: string }
  | { readonly act: 'rename'; readonly path: string; readonly to: string };

export type Answer =
  /** What was made, moved or found. */
  | { readonly is: 'done'; readonly id?: InodeId; readonly entries?: Readonly<Record<string, InodeId>> }
  | { readonly is: 'refused'; readonly kind: FaultKind }
  /** It may have happened, or happen yet. */
  | { readonly is: 'unknown' };

const MODE = 0o755;
const LIST_MAX = 1000;
/** These say nothing about what has been done. */
const VAGUE: readonly FaultKind[] = ['unavailable', 'interrupted'];

/** Carries an operation out; `name` is told to the feed with what it changes. Bugs are thrown. */
export async function perform(
  namespace: Namespace,
  operation: Operation,
  { name, request }: { readonly name: string; readonly request?: Request },
): Promise<Answer> {
  const actor: Actor = { uid: 0, gid: 0, groups: [], source: name, ...(request && { request }) };
  try {
    return { is: 'done', ...(await answerOf(namespace, actor, operation)) };
  } catch (error) {
    if (!isFault(error)) throw error;
    const { kind } = error;
    return VAGUE.includes(kind) ? { is: 'unknown' } : { is: 'refused', kind };
  }
}

async function answerOf(namespace: Namespace, actor: Actor, operation: Operation): Promise<Omit<Answer, 'is'>> {
  const path = parsePath(operation.path);
  switch (operation.act) {
    case 'create':
      return { id: (await namespace.create(actor, path, { mode: MODE })).id };
    case 'mkdir':
      return { id: (await namespace.mkdir(actor, path, { mode: MODE })).id };
    case 'stat':
      return { id: (await namespace.stat(actor, path)).inode.id };
    case 'rename':
      return { id: (await namespace.rename(actor, path, parsePath(operation.to))).id };
    case 'list': {
      const { entries } = await namespace.list(actor, path, { limit: LIST_MAX });
      return { entries: Object.fromEntries(entries.map(({ name, inode }) => [name, inode.id])) };
    }
    case 'unlink':
    case 'rmdir':
      await namespace.remove(actor, path, operation.act === 'unlink' ? 'file' : 'directory');
      return {};
    case 'removeTree':
      await namespace.removeTree(actor, path);
      return {};
  }
}

export function operationText(operation: Operation): string {
  const { act, path } = operation;
  return operation.act === 'rename' ? `rename ${path} ${operation.to}` : `${act} ${path}`;
}
