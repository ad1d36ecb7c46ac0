import { LeatError } from '../model/faults.ts';
import { type InodeId, TRASH } from '../model/ids.ts';
import { childKey, heldTime, type Inode, isSameTime } from '../model/inode.ts';
import { joinPath, type Name } from '../model/names.ts';
import { WRITE_TYPE_OPTION } from '../model/write-types.ts';
import type { Change } from '../ports/metastore.ts';
import type { StoreEntry } from '../ports/under-store.ts';
import { notedNoMore, otherNames } from './hard-links.ts';
import type { Observation } from './intent-keys.ts';
import { keptFirstAt, keptNoMore, newDirectoryId } from './directory-keys.ts';
import { placeNow } from './places.ts';
import { permissionsWith } from './row-acls.ts';
import { demandWriteType } from './write-types.ts';
import {
  asRead,
  type Context,
  homeOf,
  keyIn,
  LEASE_MS,
  mountedAt,
  type MountedStore,
  mountsWithin,
  nanosOf,
  type Place,
  putRow,
} from './context.ts';

const FILE_MODE = '644';
const DIRECTORY_MODE = '755';
const SYMLINK_MODE = 0o777;

/** A directory of a mount, whose rows are compared with what the store says. */
export interface StoreDirectory {
  readonly place: Place;
  readonly mounted: MountedStore;
  readonly origin: NonNullable<Place['origin']>;
  /** Begun before the store was asked. */
  readonly observation: Observation;
}

/**
 * True when what the store says about this name cannot be the truth, because of what it is still owed. While a move is owed,
 * what is owed at the old key comes after it, and is another's.
 */
export function isUnsettled(context: Context, directory: StoreDirectory, name: Name, row?: Inode): boolean {
  const { place, origin, observation } = directory;
  const { keys } = context.intents;
  const home = homeOf(context, origin, joinPath(place.path, name));
  if (keys.isUnsettled(home, observation)) return true;
  const now = row?.origin ?? { mount: origin.mount, key: childKey(origin.key, name) };
  return !keys.isArriving(home) && keys.isUnsettled(now, observation);
}

/**
 * True when the store does not tell about this directory: what lies at its key is being moved away or removed, or has been. A
 * directory whose own move is still owed is read at its old key until it is about to leave that.
 */
export function isDisturbed(context: Context, { place, origin, observation }: StoreDirectory): boolean {
  const { keys } = context.intents;
  const home = homeOf(context, origin, place.path);
  return home.key === origin.key ? keys.isDisplaced(origin, observation) : keys.hasLeftFor(home, observation);
}

/**
 * A directory as it can be asked for, begun to be observed. It may have been renamed, or have arrived at its own place, since
 * it was looked up; `undefined` when its path leads elsewhere by now.
 */
export async function observed(context: Context, looked: Place): Promise<StoreDirectory | undefined> {
  const observation = context.intents.keys.observe();
  const began = context.leases.count;
  try {
    const place = await placeNow(context, looked.path);
    if (place?.origin && place.inode.id === looked.inode.id) {
      context.leases.demand(context, place.origin.mount, began);
      return { place, mounted: mountedAt(context, place.origin.mount), origin: place.origin, observation };
    }
  } catch (error) {
    observation.end();
    throw error;
  }
  observation.end();
  return undefined;
}

interface Comparison {
  readonly name: Name;
  readonly before: Inode | undefined;
  /** Undefined: the store has nothing by this name. */
  readonly entry: StoreEntry | undefined;
}

/** The changes, to be made together, that let a row say what the store says; none when it does already. */
export async function rowChanges(
  context: Context,
  directory: StoreDirectory,
  { name, before, entry }: Comparison,
): Promise<Change[]> {
  // Somebody is removing it: what becomes of it is theirs to say.
  if (before?.closing && before.closing.until > context.clock()) return [];
  // What was written here is going to be there; whether it may replace what is there now, its upload finds out.
  if (before?.dirty) return [];
  if (!entry) return before ? removalChanges(context, directory, name, before) : [];
  const key = keyIn(directory.place, name);
  if (before?.kind === entry.kind) {
    const patch = differences(context, before, entry);
    return patch ? [putRow(key, before, patch)] : [];
  }
  const isDirectory = entry.kind === 'directory';
  const id = isDirectory ? await newDirectoryId(context, key) : context.newId();
  const row = loadedRow(directory, { name, entry, id });
  const kept = isDirectory ? [keptFirstAt(id, { key })] : [];
  if (!before) return [{ act: 'put', key, when: 'absent', row }, ...kept];
  const removal = removalChanges(context, directory, name, before);
  if (removal.length === 0) return [];
  const put = {
    act: 'put',
    key,
    when: asRead(before),
    row: { ...row, version: before.version + 1 },
  } as const;
  return [put, ...kept, ...removal.slice(1)];
}

/** That of the row itself stands first. */
function removalChanges(context: Context, { place }: StoreDirectory, name: Name, before: Inode): Change[] {
  const isDirectory = before.kind === 'directory';
  // A mount stays whatever becomes of the directory around it; a file that never was in the store cannot vanish from it.
  if (isDirectory ? mountsWithin(context, joinPath(place.path, name)).length > 0 : before.fingerprint === undefined) {
    return [];
  }
  const key = keyIn(place, name);
  const gone = [key, ...otherNames(before, key)].map((each): Change => ({
    act: 'remove',
    key: each,
    when: asRead(before),
  }));
  return [...gone, ...(isDirectory ? toTrash(context, before) : notedNoMore(before))];
}

/**
 * A directory that has lost its name, for the reclaimer. It is left alone for a lease: until then a creator that had found it
 * may still write a row into it.
 */
export function toTrash(context: Context, inode: Inode): Change[] {
  const { origin: _, mount: __, quota: ___, ...row } = inode;
  const token = context.newToken();
  const closing = { token, until: context.clock() + LEASE_MS };
  const key = { directory: TRASH, name: token as Name };
  return [{ act: 'put', key, when: 'absent', row: { ...row, closing } }, keptNoMore(inode)];
}

function differences(context: Context, before: Inode, entry: StoreEntry): Partial<Inode> | undefined {
  const isOther = before.kind !== 'directory' && before.fingerprint !== entry.fingerprint;
  // The same version tells no other time: a listing has it in another grain than who wrote it, or has that of the upload.
  const tellsTime = isOther || before.kind === 'directory' || entry.fingerprint === undefined;
  const mtime = tellsTime && entry.mtime ? heldTime(entry.mtime) : undefined;
  const attributes = {
    ...(entry.mode !== undefined && entry.mode !== before.mode && permissionsWith(before, entry.mode)),
    ...(entry.uid !== undefined && entry.uid !== before.uid && { uid: entry.uid }),
    ...(entry.gid !== undefined && entry.gid !== before.gid && { gid: entry.gid }),
    ...(mtime !== undefined && !isSameTime(mtime, before.mtime) && { mtime }),
  };
  if (!isOther && Object.keys(attributes).length === 0) return undefined;
  return {
    ...attributes,
    ...(isOther && { size: entry.size, generation: before.generation + 1 }),
    ...(isOther && entry.fingerprint !== undefined && { fingerprint: entry.fingerprint }),
    ...(isOther && entry.target !== undefined && { target: entry.target }),
    ctime: nanosOf(context.clock()),
  };
}

interface Loaded {
  readonly name: Name;
  readonly entry: StoreEntry;
  readonly id: InodeId;
}

function loadedRow({ place, mounted, origin }: StoreDirectory, { name, entry, id }: Loaded): Inode {
  const isDirectory = entry.kind === 'directory';
  const { options } = mounted.mount;
  const mode = isDirectory ? (options['mode.directory'] ?? DIRECTORY_MODE) : (options['mode.file'] ?? FILE_MODE);
  const mtime = heldTime(entry.mtime ?? place.inode.mtime);
  const isElsewhere = childKey(origin.key, name) !== entry.key;
  return {
    kind: entry.kind,
    id,
    mode: entry.mode ?? (entry.kind === 'symlink' ? SYMLINK_MODE : Number.parseInt(mode, 8)),
    uid: entry.uid ?? Number(options['uid'] ?? place.inode.uid),
    gid: entry.gid ?? Number(options['gid'] ?? place.inode.gid),
    size: isDirectory ? 0 : entry.size,
    atime: mtime,
    mtime,
    ctime: mtime,
    version: 1,
    generation: isDirectory ? 0 : 1,
    ...(entry.fingerprint !== undefined && !isDirectory && { fingerprint: entry.fingerprint }),
    ...(entry.target !== undefined && { target: entry.target }),
    ...(isElsewhere && { origin: { mount: origin.mount, key: entry.key } }),
  };
}

const MODE = /^[0-7]{1,4}$/;
const OWNER = /^\d{1,10}$/;

/** Options of a mount that the namespace itself reads, checked before the mount is made. */
export function demandRowOptions(options: Readonly<Record<string, string>>): void {
  const rules = [
    ['mode.file', MODE, 'octal permissions such as 644'],
    ['mode.directory', MODE, 'octal permissions such as 755'],
    ['uid', OWNER, 'the number of a user'],
    ['gid', OWNER, 'the number of a group'],
  ] as const;
  for (const [name, rule, what] of rules) {
    const value = options[name];
    if (value !== undefined && !rule.test(value)) throw new LeatError('invalid', `${name}=${value}: give ${what}`);
  }
  const writeType = options[WRITE_TYPE_OPTION];
  if (writeType !== undefined) demandWriteType(WRITE_TYPE_OPTION, writeType);
}
