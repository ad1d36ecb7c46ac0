import type { StoredKind, Nanos } from '../model/inode.ts';
import type { StoreAttributes } from '../ports/under-store.ts';

/**
 * Object metadata in the convention of AWS DataSync, Storage Gateway and FSx for Lustre, so that they and we read each other:
 * `file-permissions` in octal with the file type, `file-owner`, `file-group`, `file-mtime` in nanoseconds (`…ns`).
 * What s3fs (`mode`, `uid`, `gid`, `mtime` in seconds) and rclone (`mtime`) wrote is understood too.
 */
const TYPE_BITS: Record<StoredKind, number> = { file: 0o100000, directory: 0o040000, symlink: 0o120000 };
const TYPE_MASK = 0o170000;

export function toMetadata(kind: StoredKind, { mode, uid, gid, mtime }: StoreAttributes): Record<string, string> {
  return {
    ...((mode !== undefined || kind !== 'file') && {
      'file-permissions': `0${(TYPE_BITS[kind] | (mode ?? (kind === 'symlink' ? 0o777 : 0o755))).toString(8)}`,
    }),
    ...(uid !== undefined && { 'file-owner': String(uid) }),
    ...(gid !== undefined && { 'file-group': String(gid) }),
    ...(mtime !== undefined && { 'file-mtime': `${mtime}ns` }),
  };
}

export function fromMetadata(
  metadata: Readonly<Record<string, string>>,
): StoreAttributes & { readonly kind: StoredKind } {
  const permissions = metadata['file-permissions'];
  const mode = permissions === undefined ? numberOf(metadata['mode']) : Number.parseInt(permissions, 8);
  const uid = numberOf(metadata['file-owner'] ?? metadata['uid']);
  const gid = numberOf(metadata['file-group'] ?? metadata['gid']);
  const mtime = timeOf(metadata['file-mtime'] ?? metadata['mtime']);
  return {
    kind: mode !== undefined && (mode & TYPE_MASK) === TYPE_BITS.symlink ? 'symlink' : 'file',
    ...(mode !== undefined && { mode: mode & 0o7777 }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(mtime !== undefined && { mtime }),
  };
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** `…ns` is nanoseconds; anything else is seconds, perhaps with a fraction. */
function timeOf(text: string | undefined): Nanos | undefined {
  if (text === undefined) return undefined;
  if (/^\d+ns$/.test(text)) return BigInt(text.slice(0, -2));
  const [, seconds, fraction = ''] = /^(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  return seconds === undefined
    ? undefined
    : BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9));
}
