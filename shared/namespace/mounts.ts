import { LeatError } from '../model/faults.ts';
import { MOUNTS } from '../model/ids.ts';
import type { Inode, MountId, StoreKey } from '../model/inode.ts';
import { type Name, type Path, ROOT_PATH, toText } from '../model/names.ts';
import type { Change } from '../ports/metastore.ts';
import { isSuperuser } from './access.ts';
import { commit, type Context, type Place, putRow, retried } from './context.ts';
import { mkdir } from './create.ts';
import type { Actor, Mount, NewMount } from './namespace.ts';
import { toTrash } from './remove.ts';
import { demandDirectory, resolveOne } from './resolve.ts';

const MOUNTS_MAX = 1000;
const MOUNT_POINT_MODE = 0o755;
const SECRET = /(secret|token|password)/;

/** Loads what is mounted; a store that is not there shows when it is used. */
export async function loadMounts(context: Context): Promise<void> {
  const rows = await context.metastore.list(MOUNTS, { limit: MOUNTS_MAX });
  for (const { row } of rows) {
    if (row.kind !== 'record') continue;
    const mount = JSON.parse(row.body) as Mount;
    context.mounted.set(mount.id, { mount, store: context.storeOf(mount) });
  }
}

export async function mount(context: Context, actor: Actor, wanted: NewMount): Promise<Mount> {
  demandAdministrator(actor);
  if (context.mounted.size >= MOUNTS_MAX)
    throw new LeatError('noSpace', `${toText(wanted.path)}: ${MOUNTS_MAX} mounts are the limit`);
  const made: Mount = { ...wanted, id: context.newToken() as MountId };
  const store = context.storeOf(made);
  try {
    await store.list('' as StoreKey);
    if (wanted.path !== ROOT_PATH) await mkdir(context, actor, wanted.path, { mode: MOUNT_POINT_MODE, parents: true });
    await retried(context, wanted.path, () => join(context, actor, made));
  } catch (error) {
    await store.close();
    throw error;
  }
  context.mounted.set(made.id, { mount: made, store });
  return withoutSecrets(made);
}

async function join(context: Context, actor: Actor, made: Mount): Promise<true | undefined> {
  const place = await resolveOne(context, actor, made.path);
  demandDirectory(place);
  if (place.inode.mount !== undefined)
    throw new LeatError('busy', `${toText(made.path)}: is a mount already; unmount it first`);
  const [entry] = await context.metastore.list(place.inode.id, { limit: 1 });
  if (entry)
    throw new LeatError('notEmpty', `${toText(made.path)}: holds ${toText(entry.name)}; mount on an empty directory`);
  const { listedAt: _, ...unlisted } = place.inode;
  const row: Inode = {
    ...unlisted,
    version: place.inode.version + 1,
    mount: made.id,
    origin: { mount: made.id, key: '' as StoreKey },
  };
  const record: Change = {
    act: 'put',
    key: { directory: MOUNTS, name: made.id as string as Name },
    when: 'absent',
    row: { kind: 'record', version: 1, body: JSON.stringify(made) },
  };
  const { committed } = await commit(context, actor, [
    { act: 'put', key: place.key, when: { version: place.inode.version }, row },
    record,
  ]);
  return committed || undefined;
}

/** The rows go, the store stays as it is. */
export async function unmount(context: Context, actor: Actor, path: Path): Promise<void> {
  demandAdministrator(actor);
  const place = await resolveOne(context, actor, path);
  const id = place.inode.mount;
  const mounted = id === undefined ? undefined : context.mounted.get(id);
  if (!id || !mounted) throw new LeatError('invalid', `${toText(path)}: is not a mount; \`leat mounts\` lists them`);
  const below = [...context.mounted.values()].find(
    (each) => each.mount.path !== path && isBelow(each.mount.path, path),
  );
  if (below)
    throw new LeatError('busy', `${toText(path)}: ${toText(below.mount.path)} is mounted below it; unmount that first`);
  if (context.intents.owes(id) > 0) {
    throw new LeatError(
      'busy',
      `${toText(path)}: its store is still owed ${context.intents.owes(id)} changes; try again when \`leat info\` shows none`,
    );
  }
  await retried(context, path, () => part(context, actor, path, id));
  context.mounted.delete(id);
  await mounted.store.close();
}

async function part(context: Context, actor: Actor, path: Path, id: MountId): Promise<true | undefined> {
  const place = await resolveOne(context, actor, path);
  if (place.inode.mount !== id) return true;
  const changes: Change[] = [
    path === ROOT_PATH
      ? emptied(context, place)
      : { act: 'remove', key: place.key, when: { version: place.inode.version } },
    toTrash(context, place.inode),
    { act: 'remove', key: { directory: MOUNTS, name: id as string as Name }, when: 'any' },
  ];
  return (await commit(context, actor, changes)).committed || undefined;
}

/** The root cannot go, but its entries can: it gets a new id, and the old one goes to the trash with all that hangs on it. */
function emptied(context: Context, place: Place): Change {
  const { mount: _, origin: __, listedAt: ___, ...plain } = place.inode;
  const change = putRow(place.key, place.inode, {});
  return { ...change, act: 'put', row: { ...plain, version: place.inode.version + 1, id: context.newId() } };
}

export function mountsOf(context: Context): Mount[] {
  const mounts = [...context.mounted.values()].map((each) => withoutSecrets(each.mount));
  return mounts.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function withoutSecrets(mount: Mount): Mount {
  const options = Object.entries(mount.options).map(([name, value]) => [name, SECRET.test(name) ? '(hidden)' : value]);
  return { ...mount, options: Object.fromEntries(options) as Record<string, string> };
}

function isBelow(path: Path, directory: Path): boolean {
  return directory === '/' || path.startsWith(`${directory}/`);
}

function demandAdministrator(actor: Actor): void {
  if (!isSuperuser(actor))
    throw new LeatError('notPermitted', 'only the administrator (uid 0 to the agent) mounts and unmounts stores');
}
