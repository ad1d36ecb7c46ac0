import { isFault, LeatError } from '../model/faults.ts';
import type { Inode } from '../model/inode.ts';
import { baseName, type Path, parentOf, toText } from '../model/names.ts';
import { demandAccess, demandChange, WRITE } from './access.ts';
import { commit, type Context, nanosOf, type Place, revised, retried, storeAt } from './context.ts';
import { touchDirectory } from './directory-times.ts';
import { askStore } from './listing.ts';
import type { Actor, Found } from './namespace.ts';
import { child, placeOf, resolveOne, resolveTarget } from './resolve.ts';

export interface WriteInput {
  readonly body: AsyncIterable<Uint8Array>;
  readonly mode: number;
  readonly size?: number;
}

/** The object first, then the row: a reader never sees a file whose bytes are not in the store. */
export async function write(
  context: Context,
  actor: Actor,
  path: Path,
  { body, mode, size }: WriteInput,
): Promise<Inode> {
  const target = await resolveTarget(context, actor, path);
  const { directory, name } = target;
  const before = await child(context, actor, directory, name);
  if (before?.inode.kind === 'directory') throw new LeatError('isDirectory', `${toText(path)}: is a directory`);
  demandChange(context, actor, directory);
  if (before) demandAccess(actor, before, WRITE);
  const owner = before?.inode ?? { uid: actor.uid, gid: actor.gid, mode };
  const origin = (before ?? placeOf(directory, name, fresh(context, owner))).origin;
  if (!origin)
    throw new LeatError(
      'readOnly',
      `${toText(path)}: no store is mounted here to keep its bytes; mount one with \`leat mount\``,
    );
  await context.intents.settled(origin.mount, origin.key);
  const { store } = storeAt(context, origin);
  const attributes = { mode: owner.mode, uid: owner.uid, gid: owner.gid, mtime: nanosOf(context.clock()) };
  const entry = await store.write(origin.key, body, { attributes, ...(size !== undefined && { size }) });
  return retried(context, path, async () => {
    const now = await child(context, actor, directory, name);
    const time = entry.mtime ?? attributes.mtime;
    const content = {
      size: entry.size,
      mtime: time,
      ctime: nanosOf(context.clock()),
      ...(entry.fingerprint !== undefined && { fingerprint: entry.fingerprint }),
    };
    const row = now
      ? revised(now.inode, { ...content, generation: now.inode.generation + 1 })
      : { ...fresh(context, owner), ...content };
    const when = now ? { version: now.inode.version } : ('absent' as const);
    const { committed } = await commit(context, actor, [
      { act: 'put', key: { directory: directory.inode.id, name }, when, row },
    ]);
    if (committed) touchDirectory(context, directory);
    return committed ? row : undefined;
  });
}

function fresh(context: Context, { uid, gid, mode }: { uid: number; gid: number; mode: number }): Inode {
  const time = nanosOf(context.clock());
  return {
    kind: 'file',
    id: context.newId(),
    mode,
    uid,
    gid,
    size: 0,
    atime: time,
    mtime: time,
    ctime: time,
    version: 1,
    generation: 1,
  };
}

const SELF: Actor = { uid: 0, gid: 0, groups: [], checked: true };

/** A read met another version, or none. What is on its way to the store comes first: it may be why. */
export async function refresh(context: Context, path: Path, known: Inode): Promise<Found> {
  const parent = await resolveOne(context, SELF, parentOf(path), { follow: true });
  const place = await child(context, SELF, parent, baseName(path));
  if (!place) throw gone(path);
  if (place.origin) await context.intents.settled(place.origin.mount, place.origin.key);
  const now = await resolveOne(context, SELF, path).catch((error: unknown) => {
    if (isFault(error, 'notFound')) return undefined;
    throw error;
  });
  if (now && isOther(now, place, known)) return now;
  const inode = await askStore(context, parent, baseName(path));
  if (!inode) throw gone(path);
  return placeOf(parent, baseName(path), inode);
}

function isOther(now: Place, place: Place, known: Inode): boolean {
  return (
    now.inode.id !== known.id || now.inode.generation !== known.generation || now.origin?.key !== place.origin?.key
  );
}

const gone = (path: Path) => new LeatError('notFound', `${toText(path)}: is no longer in its store`);
