import { isFault, LeatError } from '../model/faults.ts';
import type { InodeId } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { withoutSetId } from '../model/mode-bits.ts';
import { type Path, toText } from '../model/names.ts';
import { usageOf } from '../model/quota.ts';
import type { StoreEntry } from '../ports/under-store.ts';
import { demandAccess, demandChange, isSuperuser, SELF, WRITE } from './access.ts';
import {
  asRead,
  commit,
  type Context,
  hasArrived,
  homeOf,
  keyIn,
  mountedAt,
  nanosOf,
  type Place,
  retried,
  revised,
} from './context.ts';
import { newInode, putNew } from './create.ts';
import { rowOf } from './intent.ts';
import { askStore } from './lookup.ts';
import type { Actor, Found, Upload } from './namespace.ts';
import { placeOf } from './places.ts';
import { demandRoom, spending } from './quotas.ts';
import { child, resolveTarget, type Target } from './resolve.ts';
import { find } from './written.ts';

interface NewFile {
  readonly mode: number;
  /** Bytes to come, when known. */
  readonly size?: number;
}

export interface WriteInput extends NewFile {
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * The object first, then the row: a reader never sees a file whose bytes are not in the store. While the object is on its way
 * its key is held, so that nothing that is owed moves or removes it.
 */
export async function write(context: Context, actor: Actor, path: Path, input: WriteInput): Promise<Inode> {
  const { upload, release } = await begin(context, actor, path, input);
  try {
    const { store } = mountedAt(context, upload.origin.mount);
    const { mode, uid, gid } = upload.inode;
    const attributes = { mode, uid, gid, mtime: nanosOf(context.clock()) };
    const entry = await store.write(upload.origin.key, input.body, {
      attributes,
      ...(input.size !== undefined && { size: input.size }),
    });
    return await finishUpload(context, actor, path, { upload, entry });
  } finally {
    release();
  }
}

/**
 * For who uploads by himself. Nothing holds the key meanwhile, so the object is to be written on the condition that it is what
 * it was: whoever has moved something else there is not overwritten.
 */
export async function beginUpload(context: Context, actor: Actor, path: Path, file: NewFile): Promise<Upload> {
  const { upload, release } = await begin(context, actor, path, file);
  release();
  return upload;
}

async function begin(
  context: Context,
  actor: Actor,
  path: Path,
  file: NewFile,
): Promise<{ readonly upload: Upload; readonly release: () => void }> {
  for (;;) {
    const observation = context.intents.keys.observe();
    try {
      const { upload, place } = await look(context, actor, path, file);
      const { origin } = upload;
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

async function look(
  context: Context,
  actor: Actor,
  path: Path,
  { mode, size }: NewFile,
): Promise<{ readonly upload: Upload; readonly place: Place }> {
  const target = await resolveTarget(context, actor, path);
  const { directory, name } = target;
  const before = await child(context, actor, target);
  if (before && before.inode.kind !== 'file') demandFile(before);
  demandChange(context, actor, directory);
  if (before) demandAccess(actor, before, WRITE);
  const fresh = () => newInode(context, actor, directory, { kind: 'file', mode, id: context.newId() });
  const place = before ?? placeOf(directory, name, fresh());
  const { origin } = place;
  // As write(2): of a program that another has written over, nobody runs as its owner.
  const isOver = before !== undefined && !isSuperuser(actor);
  const inode = isOver ? { ...before.inode, mode: withoutSetId(before.inode.mode) } : place.inode;
  if (!origin) {
    const next = 'mount one with `leat mount`';
    throw new LeatError('readOnly', `${toText(path)}: no store is mounted here to keep its bytes; ${next}`);
  }
  const bytes = size === undefined ? 0 : size - inode.size;
  await demandRoom(context, { way: target.chain, path, usage: { entries: before ? 0 : 1, bytes } });
  return { upload: { directory: directory.inode.id, inode, origin, isNew: !before }, place };
}

function demandFile({ inode, path }: Place): void {
  if (inode.kind === 'directory') throw new LeatError('isDirectory', `${toText(path)}: is a directory`);
  const next = inode.kind === 'symlink' ? '; write to the file that it names' : '';
  throw new LeatError('invalid', `${toText(path)}: is a ${inode.kind}${next}`);
}

interface Uploaded {
  readonly upload: Upload;
  readonly entry: StoreEntry;
}

export async function finishUpload(context: Context, actor: Actor, path: Path, uploaded: Uploaded): Promise<Inode> {
  return retried(context, path, () => finish(context, actor, path, uploaded));
}

async function finish(
  context: Context,
  actor: Actor,
  path: Path,
  { upload, entry }: Uploaded,
): Promise<Inode | undefined> {
  const there = await whatIsThere(context, actor, path, upload);
  // Somebody has made and removed a file of this name meanwhile, and what is at its key goes when its turn comes.
  if (context.intents.keys.isBeingRemoved(upload.origin)) throw movedOrRemoved(path);
  if (!there || (!there.now && !upload.isNew)) {
    const other = await underOtherName(context, upload);
    if (other) return finish(context, actor, other.path, { upload: { ...upload, directory: other.directory }, entry });
    // Nobody else can use the object: its directory has gone elsewhere, or the file was removed after the upload began.
    if (!isShared(context, upload)) {
      await mountedAt(context, upload.origin.mount).store.remove(upload.origin.key, 'file');
    }
    throw movedOrRemoved(path);
  }
  const { target, now } = there;
  // What is written over is in the store already, and counts whatever the quota says.
  const content = {
    size: entry.size,
    mtime: entry.mtime ?? nanosOf(context.clock()),
    ctime: nanosOf(context.clock()),
    ...(entry.fingerprint !== undefined && { fingerprint: entry.fingerprint }),
  };
  if (!now) {
    const inode = { ...upload.inode, ...content, bornAt: context.clock() };
    return putUploaded(context, actor, target, placeOf(target.directory, target.name, inode));
  }
  if (now.dirty) return stored(context, actor, { target, now, upload, entry });
  // A finish that is repeated because its answer was lost finds its own.
  const isOwn = entry.fingerprint !== undefined && now.fingerprint === entry.fingerprint;
  if (actor.request?.isRetry && isOwn) return now;
  const mode = isSuperuser(actor) ? now.mode : withoutSetId(now.mode);
  const row = revised(now, { ...content, mode, generation: now.generation + 1 });
  const put = { act: 'put', key: keyIn(target.directory, target.name), when: asRead(now), row } as const;
  return (await commit(context, actor, [put])).committed ? row : undefined;
}

/** A file that has lost the name under which it was uploaded, and has others yet. */
async function underOtherName(
  context: Context,
  { inode, origin }: Upload,
): Promise<{ readonly path: Path; readonly directory: InodeId } | undefined> {
  for (const name of inode.links ?? []) {
    const found = await find(context, rowOf(name, inode));
    if (found?.origin?.key === origin.key) return { path: found.path, directory: name.directory };
  }
  return undefined;
}

const movedOrRemoved = (path: Path) =>
  new LeatError('changed', `${toText(path)}: was moved or removed while it was uploaded; upload it again`);

/** Under another name the object may be somebody's yet, or be on its way to the key of that. */
function isShared(context: Context, { inode, origin }: Upload): boolean {
  return inode.links !== undefined || context.intents.keys.isMoving(origin);
}

interface Stored extends Uploaded {
  readonly target: Target;
  readonly now: Inode;
}

/** What was written is in the store now. What has been written since is dirty, and goes there the next time. */
async function stored(
  context: Context,
  actor: Actor,
  { target, now, upload: { inode }, entry: { fingerprint } }: Stored,
): Promise<Inode | undefined> {
  const isSame = now.generation === inode.generation && now.size === inode.size && now.mtime === inode.mtime;
  const { dirty: _, ...clean } = now;
  const row = revised(isSame ? clean : now, fingerprint === undefined ? {} : { fingerprint });
  const put = { act: 'put', key: keyIn(target.directory, target.name), when: asRead(now), row } as const;
  return (await commit(context, actor, [put])).committed ? row : undefined;
}

/** The way to the file, and its row by now; undefined when the path does not lead to the key that was written any more. */
async function whatIsThere(
  context: Context,
  actor: Actor,
  path: Path,
  { directory, origin }: Upload,
): Promise<{ readonly target: Target; readonly now: Inode | undefined } | undefined> {
  const self = { ...actor, checked: true };
  try {
    const target = await resolveTarget(context, self, path);
    const now = await child(context, self, target);
    if (now && now.inode.kind !== 'file') return undefined;
    const { key } = (now ?? placeOf(target.directory, target.name, {} as Inode)).origin ?? {};
    const isInPlace = target.directory.inode.id === directory && key === origin.key;
    return isInPlace ? { target, now: now?.inode } : undefined;
  } catch (error) {
    if (isFault(error, 'notFound', 'notDirectory')) return undefined;
    throw error;
  }
}

async function putUploaded(
  context: Context,
  actor: Actor,
  { directory, chain: way }: Target,
  place: Place,
): Promise<Inode | undefined> {
  const { path, key, inode, origin } = place;
  try {
    const put = () => putNew(context, actor, { directory, place });
    return (await spending(context, { way, path, usage: usageOf(key, inode) }, put)) ? inode : undefined;
  } catch (error) {
    if (isFault(error, 'exists', 'notFound')) return undefined; // the next look tells what is there now
    if (isFault(error, 'quotaExceeded') && origin) {
      await mountedAt(context, origin.mount).store.remove(origin.key, 'file');
    }
    throw error;
  }
}

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
