import { LeatError } from '../model/faults.ts';
import type { Inode } from '../model/inode.ts';
import { baseName, joinPath, type Name, namesOf, type Path, parentOf, ROOT_PATH, toText } from '../model/names.ts';
import type { RowKey } from '../ports/metastore.ts';
import { demandAccess, SEARCH } from './access.ts';
import { confirmed } from './closing.ts';
import { type Context, isYoung, keyIn, type Place } from './context.ts';
import { findInStore, isDueForLookup } from './lookup.ts';
import type { Actor } from './namespace.ts';
import { knowMount } from './mount-table.ts';
import { placeOf, rootPlaceOf } from './places.ts';
import { ROOT_KEY, RowsAhead } from './rows-ahead.ts';

const SYMLINKS_MAX = 40;

export interface ResolveOptions {
  /** Go through a symlink at the end. */
  readonly follow?: boolean;
  /** What has been read already; new for each act unless given. */
  readonly ahead?: RowsAhead;
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
  const ahead = options.ahead ?? new RowsAhead(context, [path]);
  const root = rootPlaceOf(await ahead.inodeAt(ROOT_KEY, todo));
  await knowMount(context, root.inode);
  let chain = [root];
  for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
    const directory = last(chain);
    if (name === '.' || name === '..') {
      demandDirectory(directory);
      demandAccess(actor, directory, SEARCH);
      if (name === '..' && chain.length > 1) chain.pop();
      continue;
    }
    const rest = todo;
    const place = await child(context, actor, { directory, name, look: (key) => ahead.inodeAt(key, rest) });
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
  readonly look: Looking['look'];
}

/** The directory of a path whose last name may be missing. The root has none, and answers `busy`. */
export async function resolveTarget(
  context: Context,
  actor: Actor,
  path: Path,
  ahead = new RowsAhead(context, [path]),
): Promise<Target> {
  if (path === ROOT_PATH) throw new LeatError('busy', '/: the root can be neither made, moved nor removed');
  const chain = await resolve(context, actor, parentOf(path), { follow: true, ahead });
  const directory = last(chain);
  demandDirectory(directory);
  const name = baseName(path);
  return { chain, directory, name, path: joinPath(directory.path, name), look: (key) => ahead.inodeAt(key, []) };
}

export function demandDirectory(place: Place): void {
  if (place.inode.kind !== 'directory') throw new LeatError('notDirectory', `${toText(place.path)}: not a directory`);
}

interface Looking {
  readonly directory: Place;
  readonly name: Name;
  readonly look: (key: RowKey) => Promise<Inode | undefined>;
}

/** One entry of a directory, from its row or, where the directory has not been listed, from its store. */
export async function child(
  context: Context,
  actor: Actor,
  { directory, name, look }: Looking,
): Promise<Place | undefined> {
  demandDirectory(directory);
  demandAccess(actor, directory, SEARCH);
  let inode = await look(keyIn(directory, name));
  if (inode && isYoung(context, inode) && !(await confirmed(context, directory))) return undefined;
  if (isDueForLookup(context, directory, inode)) inode = await findInStore(context, directory, name);
  if (!inode) return undefined;
  await knowMount(context, inode);
  return placeOf(directory, name, inode);
}

function last(chain: readonly Place[]): Place {
  const place = chain.at(-1);
  if (!place) throw new Error('invariant: a resolved path has at least the root');
  return place;
}
