import { toLeatError } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { MountId } from '#shared/model/inode.ts';
import { toText } from '#shared/model/names.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { DirtyFile } from './dirty-file.ts';
import type { Journal } from './journal.ts';
import { BaseBlocks } from './base-blocks.ts';

interface RecoverDeps {
  readonly dir: string;
  readonly namespace: Namespace;
  readonly storeOf: (mount: MountId) => UnderStore | undefined;
  readonly journal: Journal;
  readonly log: (line: string) => void;
}

const NOWHERE = { size: 0, mtime: 0n, generation: 0 };

interface Recovered {
  /** Whose writers outlived the process. */
  readonly isOpen: (id: InodeId) => boolean;
  readonly found: (file: DirtyFile) => void;
}

/** What a process that was killed has left. */
export async function recover(deps: RecoverDeps, { isOpen, found: goOn }: Recovered): Promise<void> {
  const { dir, namespace, journal, log } = deps;
  for (const at of journal.all) {
    const found = await namespace.find(at);
    const file = new DirtyFile(dir, at, found?.inode ?? { ...NOWHERE, id: at.id });
    const size = file.stat()?.size;
    if (found && size !== undefined) {
      file.base = BaseBlocks.find(file.mapPath, size);
      goOn(file);
    } else if (isOpen(at.id)) {
      file.at = undefined; // removed, and kept by who has it open
      goOn(file);
    } else if (size === undefined || size === 0) {
      file.remove();
      journal.end(at.id);
    } else log(`${toText(at.name)}: its entry is gone; what was written to it is ${file.path}`);
  }
}

/** Uploads that it has left in stores. A store that is away must not keep the agent from starting: it is asked again at the next start. */
export async function abandonUploads(
  { storeOf, journal, log }: Pick<RecoverDeps, 'storeOf' | 'journal' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  // Those that are under way by now: others begin as soon as files settle.
  for (const { mount, key, upload } of journal.begun) {
    if (signal.aborted) return;
    const store = storeOf(mount);
    await store?.abandonUpload(key, upload).then(
      () => journal.over(upload),
      (error: unknown) => log(`an upload that was cut off could not be given up: ${toLeatError(error).message}`),
    );
  }
}
