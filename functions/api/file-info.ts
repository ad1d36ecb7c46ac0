import { inodeNumber } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import { baseName, joinPath, type Path, toText } from '#shared/model/names.ts';
import type { Found, Listing } from '#shared/namespace/namespace.ts';
import type { Content } from './deps.ts';

/** A file, directory, symlink or special file as the API shows it. Texts hold bytes that are not UTF-8 as lone surrogates U+DC80 to U+DCFF. */
export interface FileInfo {
  path: string;
  /** The last name of the path; of the root it is empty. */
  name: string;
  kind: Inode['kind'];
  /** st_ino. */
  inode: number;
  /** 12 permission bits, as a number. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes. */
  size: number;
  /** Nanoseconds since the epoch, as decimal digits: they do not fit into a JSON number. */
  atimeNs: string;
  mtimeNs: string;
  ctimeNs: string;
  /** How many names it has. */
  links: number;
  /** Of a device: its number, as st_rdev. */
  device?: number | undefined;
  /** Counts the contents that this file has had. */
  generation: number;
  /** Of a file: how many of its bytes are cached on this node. */
  cachedBytes?: number | undefined;
  /** Of a symlink. */
  target?: string | undefined;
  /** The store's own word for this version of the object. */
  fingerprint?: string | undefined;
  /** The key in the store, relative to the mount. */
  storeKey?: string | undefined;
  /** Extended attributes by name; values are text in the same manner. */
  xattrs?: Record<string, string> | undefined;
}

export function fileInfo(content: Content, { path, inode, origin }: Found): FileInfo {
  return {
    ...attributesOf(inode),
    path: toText(path),
    name: toText(baseName(path)),
    ...(inode.kind === 'file' && { cachedBytes: content.cachedBytes(inode) }),
    ...(origin && { storeKey: toText(origin.key) }),
  };
}

/** What a change of one inode answers. */
export function changedInfo(path: Path, inode: Inode): FileInfo {
  return { ...attributesOf(inode), path: toText(path), name: toText(baseName(path)) };
}

export function listingInfo(content: Content, path: Path, { entries, next }: Listing) {
  return {
    entries: entries.map(({ name, inode }) => fileInfo(content, { path: joinPath(path, name), inode })),
    ...(next !== undefined && { next: toText(next) }),
  };
}

function attributesOf(inode: Inode): Omit<FileInfo, 'path' | 'name'> {
  const xattrs = Object.entries(inode.xattrs ?? {});
  return {
    kind: inode.kind,
    inode: inodeNumber(inode.id),
    mode: inode.mode,
    uid: inode.uid,
    gid: inode.gid,
    size: inode.size,
    atimeNs: inode.atime.toString(),
    mtimeNs: inode.mtime.toString(),
    ctimeNs: inode.ctime.toString(),
    generation: inode.generation,
    links: inode.links?.length ?? 1,
    ...(inode.device !== undefined && { device: inode.device }),
    ...(inode.target !== undefined && { target: toText(inode.target) }),
    ...(inode.fingerprint !== undefined && { fingerprint: inode.fingerprint }),
    ...(xattrs.length > 0 && {
      xattrs: Object.fromEntries(xattrs.map(([name, value]) => [toText(name), toText(value)])),
    }),
  };
}
