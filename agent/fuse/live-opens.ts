import type { LiveFile } from './live-files.ts';
import type { Node } from './nodes.ts';
import type { OpenFile, OpenFiles } from './open-files.ts';

/** With less room than that in the cache, writes are counted one by one. */
const PASSING_ROOM_MIN = 256 << 20;

/** How a file that is written here is opened: by the kernel itself where it goes that way already, or `mayPass`. */
function liveOpen(open: OpenFiles, node: Node, { live, mayPass }: { live: LiveFile; mayPass: boolean }): OpenFile {
  const { backings } = open;
  const passes = !open.isCached(node) && (mayPass || backings.isOpen(node));
  const backing = passes ? (backings.take(node) ?? backings.make(node, live.fd)) : undefined;
  return backing === undefined ? { node, reads: { from: 'live' } } : { node, reads: { from: 'kernel', backing } };
}

export function readerOf(open: OpenFiles, node: Node, live: LiveFile): OpenFile {
  return liveOpen(open, node, { live, mayPass: false });
}

/** `room`: what is left for files that are written. */
export function writerOf(open: OpenFiles, node: Node, { live, room }: { live: LiveFile; room: number }): OpenFile {
  const file = liveOpen(open, node, { live, mayPass: mayPass(live, room) });
  // What the kernel writes by itself, nobody tells of.
  if (file.reads.from === 'kernel') live.base?.cutTo(0);
  return { ...file, isWriter: true };
}

/**
 * What goes to a store is written by way of us, who then know of every change; and so is what might take more room than there
 * is, or more than it may.
 */
function mayPass({ node, base, sizeMax }: LiveFile, room: number): boolean {
  return node.syncIntervalMs === undefined && !base && sizeMax === Number.POSITIVE_INFINITY && room >= PASSING_ROOM_MIN;
}
