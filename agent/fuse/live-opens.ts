import type { LiveFile } from './live-files.ts';
import type { Node } from './nodes.ts';
import type { OpenFile, OpenFiles } from './open-files.ts';

/** How a file that is written here is opened: by the kernel itself where it goes that way already, or `mayPass`. */
function liveOpen(open: OpenFiles, node: Node, { live, mayPass }: { live: LiveFile; mayPass: boolean }): OpenFile {
  const { backings } = open;
  if (open.isCached(node)) return { node, reads: { from: 'live' } };
  const kept = backings.of(node, live.localInode);
  if (kept === 'other') return { node, reads: { from: 'live' }, isDirect: true };
  const isOpen = kept === 'same' && backings.isOpen(node);
  const backing =
    isOpen || (mayPass && !live.missing) ? (backings.take(node) ?? backings.make(node, live.fd)) : undefined;
  return backing === undefined ? { node, reads: { from: 'live' } } : { node, reads: { from: 'kernel', backing } };
}

export function readerOf(open: OpenFiles, node: Node, live: LiveFile): OpenFile {
  return liveOpen(open, node, { live, mayPass: mayPass(node) });
}

export function writerOf(open: OpenFiles, node: Node, live: LiveFile): OpenFile {
  return { ...liveOpen(open, node, { live, mayPass: mayPass(node) }), isWriter: true };
}

/** What goes to a store is written by way of us, who then know of every change. */
const mayPass = (node: Node): boolean => node.syncIntervalMs === undefined;
