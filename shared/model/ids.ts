declare const brand: unique symbol;
/** A value that can only be made by its own constructor function; free at run time. */
export type Brand<Value, Label extends string> = Value & { readonly [brand]: Label };

/** Opaque bytes, one char per byte. All ids of one metastore have the same length, so that `id + name` is a key. */
export type InodeId = Brand<string, 'InodeId'>;

const SEQUENTIAL_BYTES = 6;
/** 5 bits beside the 48 of six bytes make the 53 that a number holds. */
export const LONG_NUMBER_MASK = 0x1f;

/** The id of the embedded stores: 48 bits, big-endian, so that ids order as they were handed out. */
export function sequentialId(number: number): InodeId {
  let id = '';
  for (let rest = number, i = 0; i < SEQUENTIAL_BYTES; i++, rest = Math.floor(rest / 256)) {
    id = String.fromCharCode(rest % 256) + id;
  }
  return id as InodeId;
}

/** Of an id that was drawn or foretold, and not handed out in order. */
export const isLongId = (id: InodeId): boolean => id.length > SEQUENTIAL_BYTES;

/**
 * The number that `stat` shows as st_ino; for a sequential id the number it was made of, for a long one its first bits, as many
 * as a number holds: of ten million inodes hardly two have the same.
 */
export function inodeNumber(id: InodeId): number {
  let number = isLongId(id) ? id.charCodeAt(SEQUENTIAL_BYTES) & LONG_NUMBER_MASK : 0;
  for (let i = 0; i < SEQUENTIAL_BYTES; i++) number = number * 256 + id.charCodeAt(i);
  return number;
}

/** Directories that no path reaches except through its own use case. The root's own row is `(ABOVE_ROOT, '')`. */
export const ABOVE_ROOT = sequentialId(0);
export const ROOT = sequentialId(1);
export const TRASH = sequentialId(2);
export const MOUNTS = sequentialId(3);
export const INTENTS = sequentialId(4);
export const TOKENS = sequentialId(5);
/** Records by directory id: where the row of each directory is kept (`shared/namespace/directory-keys.ts`). */
export const PLACES = sequentialId(6);
/** Records of the agents that have joined, by agent id. */
export const AGENTS = sequentialId(7);
/** The log of changes, in order (`shared/feed`). */
export const FEED = sequentialId(8);
/** Who works for the store of a mount, by mount id (`shared/namespace/mount-leases.ts`). */
export const LEASES = sequentialId(9);
/** Records by directory id: what is in each (`shared/feed/totals.ts`). */
export const TOTALS = sequentialId(10);
/** Who has locked what, by inode id (`shared/namespace/locks.ts`). */
export const LOCKS = sequentialId(11);
/** The session of the last mount of each agent, by agent id: older ones hold no locks. */
export const LOCK_SESSIONS = sequentialId(12);
/** Records by mount and inode id: what has several names and an object in a store (`shared/namespace/hard-links.ts`). */
export const LINKED = sequentialId(13);
/** Records by directory id: the directories that have a quota, and where rows are shared what was last counted there. */
export const QUOTAS = sequentialId(14);
/** The first id that a metastore hands out. */
export const FIRST_FREE_ID = 64;

/** One of those in which a path finds nothing. */
export function isSpecial(directory: InodeId): boolean {
  if (isLongId(directory) || directory === ROOT || directory === ABOVE_ROOT) return false;
  return inodeNumber(directory) < FIRST_FREE_ID;
}
