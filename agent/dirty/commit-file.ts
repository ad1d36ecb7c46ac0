import { setTimeout as sleep } from 'node:timers/promises';
import { LeatError } from '#shared/model/faults.ts';
import { isAt } from '#shared/model/inode.ts';
import { toText } from '#shared/model/names.ts';
import type { Actor, Namespace } from '#shared/namespace/namespace.ts';
import type { WrittenFile } from '#shared/namespace/written.ts';
import type { DirtyFile } from './dirty-file.ts';

/** So long a file may have no place, until the feed tells where it was moved. */
const LOST_LOOKS_MAX = 100;
const LOST_PAUSE_MS = 50;

export interface CommitDeps {
  readonly namespace: Namespace;
  /** By whom rows are changed. */
  readonly actor: Actor;
  /** What this agent is called in rows. */
  readonly holder: string;
}

/** The row comes to say what is here. Undefined: the file has been removed. */
export async function committed(
  { namespace, actor, holder }: CommitDeps,
  file: DirtyFile,
): Promise<WrittenFile | undefined> {
  for (let look = 0; look < LOST_LOOKS_MAX; look++) {
    const at = file.rowOf;
    if (!at) return undefined;
    const stamp = file.isChanged && file.stat();
    const { generation } = file.row;
    const found = stamp
      ? await namespace.written(actor, at, { ...stamp, holder, generation })
      : await namespace.find(at);
    if (found && stamp) file.isNow({ ...found.inode, ...stamp });
    if (found) return found;
    // Moved or removed: the feed tells, here at once and from elsewhere in a moment.
    if (!file.at || !isAt(file.at, at)) continue;
    await sleep(LOST_PAUSE_MS);
  }
  // In a tree that was removed at once, it may be: its row goes when the tree is reclaimed.
  throw new LeatError('unavailable', `${toText(file.at?.name ?? '')}: its entry is not found; it is looked for again`);
}
