import { ABOVE_ROOT, type InodeId, inodeNumber } from '#shared/model/ids.ts';
import type { RowChange } from '#shared/ports/change-feed.ts';
import { nodeIdOf, ROOT_NODE } from './nodes.ts';
import type { Notifications } from './notifications.ts';
import type { ToWorker } from './questions.ts';

/** Tells the kernel and the worker of rows that others changed: a name may lead elsewhere, attributes may differ. */
export class Invalidation {
  readonly #notifications: Notifications;
  readonly #tell: (message: ToWorker) => void;
  #rootId: InodeId;

  constructor(rootId: InodeId, notifications: Notifications, tell: (message: ToWorker) => void) {
    this.#rootId = rootId;
    this.#notifications = notifications;
    this.#tell = tell;
  }

  changed({ key, before, after }: RowChange): void {
    if (before?.kind === 'record' || after?.kind === 'record') return;
    if (key.directory === ABOVE_ROOT) {
      this.#rootId = after?.id ?? this.#rootId;
      return this.#notifications.attributes(ROOT_NODE);
    }
    const parent = this.#nodeOf(key.directory);
    if (after) {
      const node =
        after.kind === 'directory' ? this.#nodeOf(after.id) : nodeIdOf(inodeNumber(after.id), after.generation);
      // An inode of the first version has never been anywhere else.
      if (!before && after.version > 1) this.#tell({ placed: { node, parent, name: key.name } });
      if (before?.id === after.id && before.generation === after.generation)
        return this.#notifications.attributes(node);
    }
    if (before) this.#notifications.entry(parent, key.name);
  }

  #nodeOf(directory: InodeId): number {
    return directory === this.#rootId ? ROOT_NODE : nodeIdOf(inodeNumber(directory), 0);
  }
}
