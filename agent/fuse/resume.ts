import { writeSync } from 'node:fs';
import type { InodeId } from '#shared/model/ids.ts';
import type { Directories } from './directories.ts';
import type { OpenFiles } from './open-files.ts';
import { Notify, OUT_HEADER } from './protocol.ts';
import type { WrittenHere } from './questions.ts';
import type { Session } from './session.ts';

/** A file that the process before has left under way. */
export interface UnderWay extends WrittenHere {
  readonly id: InodeId;
}

interface Parts {
  readonly open: OpenFiles;
  readonly directories: Directories;
}

/**
 * Goes on with the session of a process that has ended, however it did: what the kernel knows and has open means the same again.
 * Then the kernel sends once more what that process has read and not answered.
 */
export function resume(session: Session, { open, directories }: Parts, underWay: readonly UnderWay[]): void {
  const { nodes, live } = session;
  const kept = nodes.restore();
  for (const { node, backing } of kept) if (backing) open.backings.restore(node, backing);
  const files = open.restore();
  directories.restore();
  const writers = new Map<InodeId, number>();
  for (const { node, isWriter } of files) {
    if (isWriter) writers.set(node.inodeId, (writers.get(node.inodeId) ?? 0) + 1);
  }
  const written = new Map(underWay.map((each) => [each.id, each]));
  for (const { node, isPinned } of kept) {
    if (!isPinned) continue;
    const { inodeId } = node;
    const file = written.get(inodeId);
    nodes.pin(node);
    if (file) live.restore(node, file, writers.get(inodeId) ?? 0);
    // It was settled, and nobody was left to hear of it.
    else nodes.unpin(inodeId, session.rowOf(node)?.attributes.generation);
  }
  askAgain(session.options.fd);
}

function askAgain(fd: number): void {
  const message = Buffer.alloc(OUT_HEADER);
  message.writeUInt32LE(OUT_HEADER, 0);
  message.writeInt32LE(Notify.RESEND, 4);
  writeSync(fd, message);
}
