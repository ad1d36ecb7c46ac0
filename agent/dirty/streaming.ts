import type { MountId } from '#shared/model/inode.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import type { DirtyFile } from './dirty-file.ts';
import type { Journal } from './journal.ts';
import { STREAM_BYTES_MIN, UploadStream } from './stream.ts';

/** How a file is written on: it has grown, a part of it was written again, or it was cut. */
export type Progress =
  | { readonly grown: number }
  | { readonly rewritten: { readonly from: number; readonly to: number } }
  | { readonly cut: number };

interface StreamingDeps {
  readonly namespace: Namespace;
  readonly storeOf: (mount: MountId) => UnderStore | undefined;
  readonly journal: Journal;
}

/** Lets an upload follow a file that grows large while it is written. */
export async function streamOn(deps: StreamingDeps, file: DirtyFile, progress: Progress): Promise<void> {
  if ('rewritten' in progress) file.stream?.rewritten(progress.rewritten.from, progress.rewritten.to);
  else if ('cut' in progress) file.stream?.cut(progress.cut);
  else if (file.stream) file.stream.grown(progress.grown);
  else if (progress.grown >= STREAM_BYTES_MIN && !file.missing) await begin(deps, file);
}

async function begin({ namespace, storeOf, journal }: StreamingDeps, file: DirtyFile): Promise<void> {
  const found = file.rowOf && (await namespace.find(file.rowOf));
  const { origin, inode, writeType } = found ?? {};
  const store = origin && storeOf(origin.mount);
  if (!store || !inode || writeType === 'MUST_CACHE' || file.stream) return;
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
  // What was written in between counts as what is there now.
  file.stream.grown(file.stat()?.size ?? 0);
}
