import type { InodeKind } from '#shared/model/inode.ts';

/** By the type in st_mode. */
export const TYPE_BITS: Readonly<Record<InodeKind, number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  socket: 0o140000,
  character: 0o020000,
  block: 0o060000,
};

/** What mknod(2) makes. */
const NODE_KINDS = ['file', 'fifo', 'socket', 'character', 'block'] as const;
export type NodeKind = (typeof NODE_KINDS)[number];

const TYPE_MASK = 0o170000;
/** No type is that of a regular file. */
const KINDS = new Map<number, NodeKind>([
  ...NODE_KINDS.map((kind) => [TYPE_BITS[kind], kind] as const),
  [0, 'file'] as const,
]);

export function nodeKindIn(mode: number): NodeKind | undefined {
  return KINDS.get(mode & TYPE_MASK);
}
