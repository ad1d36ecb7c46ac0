import type { MountId } from '#shared/model/inode.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import type { DirtyFile } from './dirty-file.ts';
import type { Journal } from './journal.ts';
import type { Progress } from './progress.ts';
import { STREAM_BYTES_MIN, UploadStream } from './stream.ts';

interface StreamingDeps {
  readonly namespace: Namespace;
  readonly storeOf: (mount: MountId) => UnderStore | undefined;
  readonly journal: Journal;
}

/** Lets an upload follow a file that grows large while it is written. */
export async function streamOn(deps: StreamingDeps, file: DirtyFile, progress: Progress): Promise<void> {
  if ('rewritten' in progress) return file.stream?.rewritten(progress.rewritten.from, progress.rewritten.to);
  if ('cut' in progress) return streamCut(file, progress.cut);
  file.toldTo = progress.grown;
  if (!file.stream && file.toldTo >= STREAM_BYTES_MIN && !file.base) await begin(deps, file);
  // Not to where the file ends: of what the writer has not told of he does not tell either that he writes it again.
  file.stream?.grown(file.toldTo);
}

/** Whatever is told of next is new, also while a stream is still to begin. */
export function streamCut(file: DirtyFile, to: number): void {
  file.toldTo = Math.min(file.toldTo, to);
  file.stream?.cut(to);
}

async function begin({ namespace, storeOf, journal }: StreamingDeps, file: DirtyFile): Promise<void> {
  const found = file.rowOf && (await namespace.find(file.rowOf));
  const { origin, inode, writeType } = found ?? {};
  const store = origin && storeOf(origin.mount);
  if (!store || !inode || writeType === 'MUST_CACHE') return;
  // Closed meanwhile, or begun by what was told of next.
  if (file.writers === 0 || file.stream) return;
  const { mode, uid, gid, mtime } = inode;
  const { mount, key } = origin;
  file.stream = new UploadStream({
    store,
    key,
    fd: file.fd,
    attributes: { mode, uid, gid, mtime },
    begun: (upload) => journal.begin({ mount, key, upload }),
    over: (upload) => journal.over(upload),
  });
}
