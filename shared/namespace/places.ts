import { LeatError } from '../model/faults.ts';
import { ABOVE_ROOT } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { joinPath, type Name, namesOf, type Path, ROOT_PATH } from '../model/names.ts';
import { type Context, inodeAt, keyIn, originOf, type Place } from './context.ts';

export async function rootPlace(context: Context): Promise<Place> {
  const key = { directory: ABOVE_ROOT, name: '' as Name };
  const inode = await inodeAt(context, key);
  if (!inode) throw new LeatError('corrupt', '/: the namespace has no root row; start the agent once to make it');
  return { key, inode, path: ROOT_PATH, ...(inode.origin && { origin: inode.origin }) };
}

export function placeOf(directory: Place, name: Name, inode: Inode): Place {
  const origin = originOf(inode, directory, name);
  return { key: keyIn(directory, name), path: joinPath(directory.path, name), inode, ...(origin && { origin }) };
}

/** A path without symlinks, as the rows alone have it now: no store is asked. */
export async function placeNow(context: Context, path: Path): Promise<Place | undefined> {
  let place = await rootPlace(context);
  for (const name of namesOf(path)) {
    const inode = await inodeAt(context, keyIn(place, name));
    if (!inode) return undefined;
    place = placeOf(place, name, inode);
  }
  return place;
}
