import { LeatError } from '../model/faults.ts';
import type { Inode } from '../model/inode.ts';
import { joinPath, type Name, namesOf, type Path, ROOT_PATH } from '../model/names.ts';
import { type Context, keyIn, originOf, type Place } from './context.ts';
import { ROOT_KEY, RowsAhead } from './rows-ahead.ts';

export function rootPlaceOf(inode: Inode | undefined): Place {
  if (!inode) throw new LeatError('corrupt', '/: the namespace has no root row; start the agent once to make it');
  return { key: ROOT_KEY, inode, path: ROOT_PATH, ...(inode.origin && { origin: inode.origin }) };
}

export function placeOf(directory: Place, name: Name, inode: Inode): Place {
  const origin = originOf(inode, directory, name);
  return { key: keyIn(directory, name), path: joinPath(directory.path, name), inode, ...(origin && { origin }) };
}

/** A path without symlinks, as the rows alone have it now: no store is asked. */
export async function placeNow(context: Context, path: Path): Promise<Place | undefined> {
  return (await wayNow(context, path))?.at(-1);
}

/** The same from the root on. Undefined: the path leads nowhere. */
export async function wayNow(context: Context, path: Path): Promise<readonly Place[] | undefined> {
  const ahead = new RowsAhead(context, [path]);
  const names = namesOf(path);
  let place = rootPlaceOf(await ahead.inodeAt(ROOT_KEY, names));
  const way = [place];
  for (const [i, name] of names.entries()) {
    const inode = await ahead.inodeAt(keyIn(place, name), names.slice(i + 1));
    if (!inode) return undefined;
    place = placeOf(place, name, inode);
    way.push(place);
  }
  return way;
}
