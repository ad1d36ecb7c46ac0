import { isFault, LeatError } from '../model/faults.ts';
import type { Inode, Origin } from '../model/inode.ts';
import { type Path, toText } from '../model/names.ts';
import type { StoreEntry } from '../ports/under-store.ts';
import { demandAccess, demandChange, WRITE } from './access.ts';
import {
  asRead,
  commit,
  type Context,
  hasArrived,
  homeOf,
  mountedAt,
  nanosOf,
  type Place,
  retried,
  revised,
} from './context.ts';
import { newInode, putNew } from './create.ts';
import { askStore } from './lookup.ts';
import type { Actor, Found } from './namespace.ts';
import { placeOf } from './places.ts';
import { child, resolveTarget } from './resolve.ts';

export interface WriteInput {
  readonly body: AsyncIterable<Uint8Array>;
  readonly mode: number;
  readonly size?: number;
}

interface Upload {
  readonly directory: Place;
  /** As the file is, or as it is going to be. */
  readonly place: Place;
  readonly origin: Origin;
  readonly isNew: boolean;
}

/**
 * The object first, then the row: a reader never sees a file whose bytes are not in the store. While the object is on its way
 * its key is held, so that nothing that is owed moves or removes it.
 */
export async function write(context: Context, actor: Actor, path: Path, input: WriteInput): Promise<Inode> {
  const { upload, release } = await begin(context, actor, path, input.mode);
  try {
    const { store } = mountedAt(context, upload.origin.mount);
    const { mode, uid, gid } = upload.place.inode;
    const attributes = { mode, uid, gid, mtime: nanosOf(context.clock()) };
    const entry = await store.write(upload.origin.key, input.body, {
      attributes,
      ...(input.size !== undefined && { size: input.size }),
    });
    return await retried(context, path, () => finish(context, actor, { path, upload, entry }));
  } finally {
    release();
  }
}

async function begin(
  context: Context,
  actor: Actor,
  path: Path,
  mode: number,
): Promise<{ readonly upload: Upload; readonly release: () => void }> {
  for (;;) {
    const observation = context.intents.keys.observe();
    try {
      const upload = await look(context, actor, path, mode);
      const { origin, place } = upload;
      const keys = [origin, homeOf(context, origin, place.path)];
      const isOwed = keys.some((key) => context.intents.keys.isPending(key));
      if (!isOwed && !hasArrived(context, place, { observation })) {
        return { upload, release: context.intents.hold(origin) };
      }
      // What has to be waited for may change the way here.
      await context.intents.settled(keys);
    } finally {
      observation.end();
    }
  }
}

async function look(context: Context, actor: Actor, path: Path, mode: number): Promise<Upload> {
  const target = await resolveTarget(context, actor, path);
  const { directory, name } = target;
  const before = await child(context, actor, target);
  if (before && before.inode.kind !== 'file') demandFile(before);
  demandChange(context, actor, directory);
  if (before) demandAccess(actor, before, WRITE);
  const fresh = () => newInode(context, actor, directory, { kind: 'file', mode, id: context.newId() });
  const place = before ?? placeOf(directory, name, fresh());
  const { origin } = place;
  if (!origin) {
    const next = 'mount one with `leat mount`';
    throw new LeatError('readOnly', `${toText(path)}: no store is mounted here to keep its bytes; ${next}`);
  }
  return { directory, place, origin, isNew: !before };
}

function demandFile({ inode, path }: Place): void {
  if (inode.kind === 'directory') throw new LeatError('isDirectory', `${toText(path)}: is a directory`);
  throw new LeatError('invalid', `${toText(path)}: is a symlink; write to the file that it names`);
}

interface Finished {
  readonly path: Path;
  readonly upload: Upload;
  readonly entry: StoreEntry;
}

async function finish(context: Context, actor: Actor, { path, upload, entry }: Finished): Promise<Inode | undefined> {
  const { directory, place, isNew } = upload;
  const [now, isInPlace] = await whatIsThere(context, actor, path, upload);
  if (!isInPlace || (!now && !isNew)) {
    // Nobody else can use the object: its directory has gone elsewhere, or the file was removed after the upload began.
    await mountedAt(context, upload.origin.mount).store.remove(upload.origin.key, 'file');
    throw new LeatError('changed', `${toText(path)}: was moved or removed while it was uploaded; upload it again`);
  }
  const content = {
    size: entry.size,
    mtime: entry.mtime ?? nanosOf(context.clock()),
    ctime: nanosOf(context.clock()),
    ...(entry.fingerprint !== undefined && { fingerprint: entry.fingerprint }),
  };
  if (!now) {
    const fresh = { ...place, inode: { ...place.inode, ...content, bornAt: context.clock() } };
    return putUploaded(context, actor, { directory, place: fresh });
  }
  const row = revised(now, { ...content, generation: now.generation + 1 });
  const put = { act: 'put', key: place.key, when: asRead(now), row } as const;
  return (await commit(context, actor, [put])).committed ? row : undefined;
}

/** The row by this name, and whether the path still leads to the key that was written. */
async function whatIsThere(
  context: Context,
  actor: Actor,
  path: Path,
  { directory, origin }: Upload,
): Promise<[row: Inode | undefined, isInPlace: boolean]> {
  const self = { ...actor, checked: true };
  try {
    const target = await resolveTarget(context, self, path);
    const now = await child(context, self, target);
    if (now && now.inode.kind !== 'file') return [undefined, false];
    const { key } = (now ?? placeOf(target.directory, target.name, {} as Inode)).origin ?? {};
    return [now?.inode, target.directory.inode.id === directory.inode.id && key === origin.key];
  } catch (error) {
    if (isFault(error, 'notFound', 'notDirectory')) return [undefined, false];
    throw error;
  }
}

async function putUploaded(
  context: Context,
  actor: Actor,
  { directory, place }: { readonly directory: Place; readonly place: Place },
): Promise<Inode | undefined> {
  try {
    await putNew(context, actor, { directory, place });
    return place.inode;
  } catch (error) {
    if (isFault(error, 'exists', 'notFound')) return undefined; // the next look tells what is there now
    throw error;
  }
}

const SELF: Actor = { uid: 0, gid: 0, groups: [], checked: true };

/** A read met another version, or none. What is on its way to the store comes first: it may be why. */
export async function refresh(context: Context, path: Path, known: Inode): Promise<Found> {
  for (;;) {
    const target = await resolveTarget(context, SELF, path);
    const place = await child(context, SELF, target);
    if (!place) throw gone(path);
    if (place.inode.id !== known.id || place.inode.generation !== known.generation) return place;
    if (place.origin && (await context.intents.settled([place.origin]))) continue;
    const { directory, name } = target;
    const inode = await askStore(context, directory, name);
    if (!inode) throw gone(path);
    return placeOf(directory, name, inode);
  }
}

const gone = (path: Path) => new LeatError('notFound', `${toText(path)}: is no longer in its store`);
