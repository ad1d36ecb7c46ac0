import { namesOf, parsePath, type Path, toText } from '../model/names.ts';
import { type Context, keyIn, type MountedStore } from './context.ts';
import { isFault } from '../model/faults.ts';
import { askStore } from './lookup.ts';
import { refreshMounts } from './mount-table.ts';
import { placeOf, rootPlaceOf } from './places.ts';
import { ROOT_KEY, RowsAhead } from './rows-ahead.ts';

/**
 * A store tells that something at a URI has changed: in each mount that shows it the one row is brought in step. What nobody
 * has listed yet needs no step. Answers how many mounts show it.
 */
export async function notice(context: Context, uri: string): Promise<number> {
  await refreshMounts(context);
  const showing = [...context.mounted.values()].flatMap((mounted) => {
    const path = pathIn(mounted, uri);
    return path === undefined ? [] : [{ mounted, path }];
  });
  for (const { mounted, path } of showing) {
    await context.leases.holding(context, () => bringInStep(context, mounted, path));
  }
  return showing.length;
}

/** Where a mount shows what a store names so. What no file can be called is shown nowhere. */
function pathIn({ mount }: MountedStore, uri: string): Path | undefined {
  const base = mount.uri.endsWith('/') ? mount.uri : `${mount.uri}/`;
  if (!uri.startsWith(base)) return undefined;
  try {
    return parsePath(`${toText(mount.path)}/${uri.slice(base.length)}`);
  } catch (error) {
    if (isFault(error, 'invalid', 'nameTooLong')) return undefined;
    throw error;
  }
}

async function bringInStep(context: Context, { mount }: MountedStore, path: Path): Promise<void> {
  const names = namesOf(path);
  const mountDepth = namesOf(mount.path).length;
  const ahead = new RowsAhead(context, [path]);
  let place = rootPlaceOf(await ahead.inodeAt(ROOT_KEY, names));
  for (const [i, name] of names.entries()) {
    if (i >= mountDepth && (place.inode.kind !== 'directory' || place.inode.listedAt === undefined)) return;
    const inode = await ahead.inodeAt(keyIn(place, name), names.slice(i + 1));
    if (i >= mountDepth && (i === names.length - 1 || !inode)) return void (await askStore(context, place, name));
    if (!inode) return;
    place = placeOf(place, name, inode);
  }
}
