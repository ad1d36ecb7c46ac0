import { namesOf, parsePath, type Path, toText } from '../model/names.ts';
import { type Context, inodeAt, keyIn, type MountedStore } from './context.ts';
import { isFault } from '../model/faults.ts';
import { askStore } from './lookup.ts';
import { refreshMounts } from './mount-table.ts';
import { placeNow, placeOf } from './places.ts';

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
  let place = await placeNow(context, mount.path);
  const names = namesOf(path).slice(namesOf(mount.path).length);
  for (const [i, name] of names.entries()) {
    if (place?.inode.kind !== 'directory' || place.inode.listedAt === undefined) return;
    const inode = await inodeAt(context, keyIn(place, name));
    const isLast = i === names.length - 1;
    if (isLast || !inode) return void (await askStore(context, place, name));
    place = placeOf(place, name, inode);
  }
}
