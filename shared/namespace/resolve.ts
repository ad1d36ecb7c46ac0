import { LeatError } from '../model/faults.ts';
import { baseName, joinPath, type Name, namesOf, type Path, parentOf, ROOT_PATH, toText } from '../model/names.ts';
import { demandAccess, SEARCH } from './access.ts';
import { confirmed } from './closing.ts';
import { type Context, inodeAt, isYoung, keyIn, type Place } from './context.ts';
import { findInStore, isDueForLookup } from './lookup.ts';
import type { Actor } from './namespace.ts';
import { placeOf, rootPlace } from './places.ts';

const SYMLINKS_MAX = 40;

export interface ResolveOptions {
  /** Go through a symlink at the end. */
  readonly follow?: boolean;
}

/** Every row from the root to the path, the path's own last. */
export async function resolve(
  context: Context,
  actor: Actor,
  path: Path,
  options: ResolveOptions = {},
): Promise<Place[]> {
  let links = 0;
  let todo = namesOf(path);
  let chain = [await rootPlace(context)];
  for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
    const directory = last(chain);
    if (name === '.' || name === '..') {
      demandDirectory(directory);
      demandAccess(actor, directory, SEARCH);
      if (name === '..' && chain.length > 1) chain.pop();
      continue;
    }
    const place = await child(context, actor, directory, name);
    if (!place) throw new LeatError('notFound', `${toText(joinPath(directory.path, name))}: no such file or directory`);
    const isPassed = place.inode.kind === 'symlink' && (todo.length > 0 || options.follow === true);
    if (!isPassed) {
      chain.push(place);
      continue;
    }
    if (++links > SYMLINKS_MAX)
      throw new LeatError('tooManyLinks', `${toText(path)}: more than ${SYMLINKS_MAX} symlinks on the way`);
    const target = place.inode.target ?? '';
    todo = [...namesIn(target), ...todo];
    if (target.startsWith('/')) chain = chain.slice(0, 1);
  }
  return chain;
}

/** `.` and `..` stay: what they stand behind has to be a directory, as what a slash at the end stands behind. */
function namesIn(target: string): Name[] {
  const names = target.split('/').filter((part) => part !== '') as Name[];
  return target.endsWith('/') ? [...names, '.' as Name] : names;
}

export async function resolveOne(
  context: Context,
  actor: Actor,
  path: Path,
  options: ResolveOptions = {},
): Promise<Place> {
  return last(await resolve(context, actor, path, options));
}

export interface Target {
  /** From the root to the directory that the last name is in. */
  readonly chain: readonly Place[];
  readonly directory: Place;
  readonly name: Name;
  /** Free of symlinks. */
  readonly path: Path;
}

/** The directory of a path whose last name may be missing. The root has none, and answers `busy`. */
export async function resolveTarget(context: Context, actor: Actor, path: Path): Promise<Target> {
  if (path === ROOT_PATH) throw new LeatError('busy', '/: the root can be neither made, moved nor removed');
  const chain = await resolve(context, actor, parentOf(path), { follow: true });
  const directory = last(chain);
  demandDirectory(directory);
  const name = baseName(path);
  return { chain, directory, name, path: joinPath(directory.path, name) };
}

export function demandDirectory(place: Place): void {
  if (place.inode.kind !== 'directory') throw new LeatError('notDirectory', `${toText(place.path)}: not a directory`);
}

/** One entry of a directory, from its row or, where the directory has not been listed, from its store. */
export async function child(context: Context, actor: Actor, directory: Place, name: Name): Promise<Place | undefined> {
  demandDirectory(directory);
  demandAccess(actor, directory, SEARCH);
  let inode = await inodeAt(context, keyIn(directory, name));
  if (inode && isYoung(context, inode) && !(await confirmed(context, directory))) return undefined;
  if (isDueForLookup(context, directory, inode)) inode = await findInStore(context, directory, name);
  return inode && placeOf(directory, name, inode);
}

function last(chain: readonly Place[]): Place {
  const place = chain.at(-1);
  if (!place) throw new Error('invariant: a resolved path has at least the root');
  return place;
}
