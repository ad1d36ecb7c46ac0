import type { ListObjectsV2CommandOutput, _Object } from '@aws-sdk/client-s3';
import type { Fingerprint, StoreKey } from '../model/inode.ts';
import { fromText } from '../model/names.ts';
import type { StoreAttributes, StoreEntry, StorePage } from '../ports/under-store.ts';
import { isNameable } from './memory.ts';

/** A page of LIST with a delimiter, below the key prefix `directory`; `keyOf` makes keys of the bucket those of the mount. */
export function storePage(
  page: ListObjectsV2CommandOutput,
  directory: string,
  keyOf: (text: string) => StoreKey,
): StorePage {
  const entries: StoreEntry[] = [];
  let unnameable = 0;
  const decode = page.EncodingType === 'url' ? decodeKey : (text: string) => text;
  const isNamed = (key: string) => isNameable(fromText(key.slice(directory.length)));
  for (const object of page.Contents ?? []) {
    const key = decode(object.Key ?? '');
    if (key === directory) continue; // the marker of the directory itself
    if (isNamed(key)) entries.push(entryOf(keyOf(key), object));
    else unnameable++;
  }
  for (const { Prefix = '' } of page.CommonPrefixes ?? []) {
    const key = decode(Prefix).slice(0, -1);
    if (isNamed(key)) entries.push(directoryEntry(keyOf(key)));
    else unnameable++;
  }
  const cursor = page.IsTruncated ? page.NextContinuationToken : undefined;
  return {
    entries: entries.toSorted((a, b) => (orderKey(a) < orderKey(b) ? -1 : 1)),
    unnameable,
    ...(cursor !== undefined && { cursor }),
  };
}

/** The key of the first object of a page. */
export function firstKey({ Contents, EncodingType }: ListObjectsV2CommandOutput): string | undefined {
  const key = Contents?.[0]?.Key;
  return key !== undefined && EncodingType === 'url' ? decodeKey(key) : key;
}

export function entryOf(
  key: StoreKey,
  { Size, ETag, LastModified }: Partial<Pick<_Object, 'Size' | 'ETag' | 'LastModified'>>,
): StoreEntry {
  return {
    key,
    kind: 'file',
    size: Size ?? 0,
    fingerprint: fingerprintOf(ETag),
    ...(LastModified && { mtime: BigInt(LastModified.getTime()) * 1_000_000n }),
  };
}

/** A directory, with what its marker object says of it. */
export function directoryEntry(key: StoreKey, { mode, uid, gid, mtime }: StoreAttributes = {}): StoreEntry {
  return {
    key,
    kind: 'directory',
    size: 0,
    ...(mode !== undefined && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(mtime !== undefined && { mtime }),
  };
}

export const fingerprintOf = (etag = ''): Fingerprint => etag.replace(/^"|"$/g, '') as Fingerprint;

const orderKey = ({ key, kind }: StoreEntry): string => (kind === 'directory' ? `${key}/` : key);

/**
 * Keys may hold what XML cannot, so they are asked for in the encoding of URLs, which writes a space as `+`. Some servers
 * ignore that, and their answer does not say `url`.
 */
const decodeKey = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '));
