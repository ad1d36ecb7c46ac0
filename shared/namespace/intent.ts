import type { InodeId } from '../model/ids.ts';
import type { Inode, StoredKind, Origin, StoreKey } from '../model/inode.ts';
import type { RowKey } from '../ports/metastore.ts';
import type { StoreAttributes } from '../ports/under-store.ts';

/** Whose row an intent is about. Another inode at the key means that it has been removed since. */
export type RowOf = RowKey & { readonly id: InodeId };

/** What a store is still owed. Written in the commit that promised it, carried out behind, in order per path. */
export type Intent = Origin &
  (
    | { readonly act: 'remove'; readonly kind: StoredKind }
    /** `id` is of the directory that was there. */
    | { readonly act: 'removeTree'; readonly id?: InodeId }
    | { readonly act: 'makeFile'; readonly attributes: StoredAttributes; readonly row: RowOf }
    | { readonly act: 'makeDirectory'; readonly attributes: StoredAttributes }
    | {
        readonly act: 'makeSymlink';
        readonly attributes: StoredAttributes;
        readonly target: string;
        readonly row: RowOf;
      }
    | { readonly act: 'setAttributes'; readonly attributes: StoredAttributes; readonly row: RowOf }
    /** `key` is where the bytes are, `to` where they shall be; `row` has moved already. */
    | { readonly act: 'move'; readonly to: StoreKey; readonly kind: StoredKind; readonly row: RowOf }
  );

/** JSON has no bigint: the time is text. */
export type StoredAttributes = Omit<StoreAttributes, 'mtime'> & { readonly mtime?: string };

export function keysOf(intent: Intent): readonly StoreKey[] {
  return intent.act === 'move' ? [intent.key, intent.to] : [intent.key];
}

export function storedAttributes({ mode, uid, gid, mtime }: Inode): StoredAttributes {
  return { mode, uid, gid, mtime: String(mtime) };
}

export function attributesOf({ mtime, ...rest }: StoredAttributes): StoreAttributes {
  return { ...rest, ...(mtime !== undefined && { mtime: BigInt(mtime) }) };
}

export const rowOf = (key: RowKey, { id }: Inode): RowOf => ({ ...key, id });
