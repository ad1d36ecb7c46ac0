import { LeatError } from '../model/faults.ts';
import { type InodeId, ROOT } from '../model/ids.ts';
import type { Fingerprint, Inode, Nanos } from '../model/inode.ts';
import { joinPath, type Name, parentOf, type Path, ROOT_PATH, toText } from '../model/names.ts';
import type { WriteType } from '../model/write-types.ts';
import { commit, type Context, inodeAt, nanosOf, type Place, retried, revised } from './context.ts';
import { foundById } from './directory-keys.ts';
import { askStore } from './lookup.ts';
import { putAt } from './hard-links.ts';
import type { RowOf } from './intent.ts';
import type { Actor, Found } from './namespace.ts';
import { placeNow, wayNow } from './places.ts';
import { roomOn, spending } from './quotas.ts';
import { writeTypeOf } from './write-types.ts';

/** What an agent has of a file: its bytes lie there, and are owed to the store of the file if it is in one. */
export interface Written {
  readonly size: number;
  readonly mtime: Nanos;
  readonly holder: string;
  /** The content that was written upon. Another one has come since, unless it is the holder's own: `changed`. */
  readonly generation: number;
}

/** A file that an agent writes, and where its bytes are to be. */
export interface WrittenFile extends Found {
  readonly writeType: WriteType;
  /** By how much quotas let it grow; absent: by as much as it likes. */
  readonly bytesLeft?: number;
}

/** Undefined: the file has been removed. */
export async function written(
  context: Context,
  actor: Actor,
  at: RowOf,
  content: Written,
): Promise<WrittenFile | undefined> {
  const first = await wayTo(context, at);
  if (!first) return undefined;
  let seen: readonly Place[] | undefined = first;
  return retried(context, placeOf(first).path, async () => {
    const way = seen ?? (await wayTo(context, at));
    seen = undefined;
    if (!way) return fileAt(context, first);
    const found = await fileAt(context, way);
    const { path, inode } = found;
    const row = writtenRow(context, path, inode, content);
    const spent = { way, path, usage: { entries: 0, bytes: row.size - inode.size } };
    const isPut = await spending(context, spent, () => replaceRow(context, actor, { at, inode, row }));
    return isPut ? { ...found, inode: row } : undefined;
  });
}

interface Replacement {
  readonly at: RowOf;
  readonly inode: Inode;
  readonly row: Inode;
}

/** False: somebody was quicker. */
async function replaceRow(context: Context, actor: Actor, { at, inode, row }: Replacement): Promise<boolean> {
  const { directory, name } = at;
  return (await commit(context, actor, putAt([{ directory, name }], inode, row))).committed;
}

function writtenRow(context: Context, path: Path, now: Inode, { size, mtime, holder, generation }: Written): Inode {
  const isOwn = now.dirty?.holder === holder;
  if (!isOwn && (now.dirty || now.generation !== generation)) {
    throw new LeatError('changed', `${toText(path)}: has another content than the one that was written upon`);
  }
  return revised(now, {
    size,
    mtime,
    ctime: nanosOf(context.clock()),
    dirty: { holder },
    // Its bytes are cached elsewhere by id and generation.
    ...(!isOwn && { generation: now.generation + 1 }),
  });
}

/** The file at a key, and the path that leads there now. Undefined: another one is there, or none. */
export async function find(context: Context, at: RowOf): Promise<WrittenFile | undefined> {
  const way = await wayTo(context, at);
  return way && fileAt(context, way);
}

const placeOf = (way: readonly Place[]): Place => way.at(-1) as Place;

async function wayTo(context: Context, { id, ...key }: RowOf): Promise<readonly Place[] | undefined> {
  const directory = await pathOf(context, key.directory);
  if (directory === undefined) return undefined;
  const way = await wayNow(context, joinPath(directory, key.name));
  return way?.at(-1)?.inode.id === id ? way : undefined;
}

async function fileAt(context: Context, way: readonly Place[]): Promise<WrittenFile> {
  const { inode, path, origin } = placeOf(way);
  const { bytes } = await roomOn(context, way);
  return {
    inode,
    path,
    ...(origin && { origin }),
    writeType: writeTypeOf(context, way),
    ...(bytes && { bytesLeft: bytes.left }),
  };
}

/**
 * An agent gives up what it has written, because its store has got another content since: the row says again what the store
 * says. Undefined when it has been removed.
 */
export async function abandon(context: Context, actor: Actor, at: RowOf): Promise<Found | undefined> {
  const before = await find(context, at);
  if (!before) return undefined;
  await retried(context, before.path, async () => {
    const found = await find(context, at);
    if (!found?.inode.dirty) return true;
    const { dirty: _, fingerprint: __, ...clean } = found.inode;
    // No store calls a version so: whatever it has is another content.
    const row = revised(clean, { generation: clean.generation + 1, fingerprint: 'abandoned' as Fingerprint });
    return (await replaceRow(context, actor, { at, inode: found.inode, row })) || undefined;
  });
  const directory = await placeNow(context, parentOf(before.path));
  if (directory) await askStore(context, directory, at.name);
  return find(context, at);
}

/** Undefined: the directory has been removed. */
export async function pathOf(context: Context, directory: InodeId): Promise<Path | undefined> {
  const names: Name[] = [];
  for (let id = directory; id !== ROOT;) {
    const kept = await foundById(context.metastore, id, { look: (key) => inodeAt(context, key) });
    if (!kept) return undefined;
    if (kept.key.name === '') break; // another root, of a store that is mounted at `/`
    names.push(kept.key.name);
    id = kept.key.directory;
  }
  return names.reduceRight<Path>((path, name) => joinPath(path, name), ROOT_PATH);
}
