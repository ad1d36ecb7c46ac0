import { LeatError } from '../model/faults.ts';
import { MOUNTS } from '../model/ids.ts';
import type { Inode, MountId, StoreKey } from '../model/inode.ts';
import { type Name, type Path, ROOT_PATH, toText } from '../model/names.ts';
import { type Change, CHANGES_MAX } from '../ports/metastore.ts';
import { demandAdministrator } from './access.ts';
import { hasWaited } from './closing.ts';
import { asRead, commit, type Context, mountsWithin, type Place, putRow, retried } from './context.ts';
import { mkdir } from './create.ts';
import { keptFirstAt } from './directory-keys.ts';
import { load } from './list.ts';
import { MOUNTS_MAX, refreshMounts } from './mount-table.ts';
import type { Actor, Mount, NewMount } from './namespace.ts';
import { demandDirectory, resolve, resolveOne } from './resolve.ts';
import { demandRowOptions, toTrash } from './store-rows.ts';

const MOUNT_POINT_MODE = 0o755;
const SECRET = /(secret|key|token|password)$/;
const DRAIN_POLL_MS = 50;
const DRAIN_MS_MAX = 10_000;

/** The store must answer before anything is written down; the mount point is made if need be. */
export async function mount(context: Context, actor: Actor, wanted: NewMount): Promise<Mount> {
  demandAdministrator(context, actor, 'mount and unmount stores');
  demandRowOptions(wanted.options);
  await refreshMounts(context);
  if (context.mounted.size >= MOUNTS_MAX) {
    throw new LeatError('noSpace', `${toText(wanted.path)}: ${MOUNTS_MAX} mounts are the limit; unmount one`);
  }
  const id = context.newToken() as MountId;
  const store = context.storeOf({ ...wanted, id });
  try {
    await store.list('' as StoreKey);
    if (wanted.path !== ROOT_PATH) {
      await mkdir(context, actor, wanted.path, { mode: MOUNT_POINT_MODE, parents: true, isUnowed: true });
    }
    const { path } = await resolveOne(context, actor, wanted.path, { follow: true });
    const made = { ...wanted, path, id };
    // Known before it is committed, so that nobody renames or removes a directory above it in between.
    context.mounted.set(id, { mount: made, store });
    await retried(context, path, () => join(context, actor, made));
    // Again: who has looked meanwhile at what others have mounted did not find it yet.
    context.mounted.set(id, { mount: made, store });
    return withoutSecrets(made);
  } catch (error) {
    context.mounted.delete(id);
    await store.close();
    throw error;
  }
}

async function join(context: Context, actor: Actor, made: Mount): Promise<true | undefined> {
  const chain = await resolve(context, actor, made.path);
  const place = chain.pop() as Place;
  demandDirectory(place);
  if (place.inode.mount !== undefined) {
    throw new LeatError('busy', `${toText(made.path)}: is a mount already; unmount it first`);
  }
  if (chain.length > CHANGES_MAX - 2)
    throw new LeatError('unsupported', `${toText(made.path)}: is too deep for a mount`);
  if (await hasWaited(context, [...chain, place])) return undefined;
  await load(context, place);
  const [entry] = await context.metastore.list(place.inode.id, { limit: 1 });
  if (entry) {
    throw new LeatError('notEmpty', `${toText(made.path)}: holds ${toText(entry.name)}; mount on an empty directory`);
  }
  const { listedAt: _, ...unlisted } = place.inode;
  const origin = { mount: made.id, key: '' as StoreKey };
  const row: Inode = { ...unlisted, version: place.inode.version + 1, mount: made.id, origin };
  const { committed } = await commit(context, actor, [
    { act: 'put', key: place.key, when: asRead(place.inode), row },
    {
      act: 'put',
      key: recordKey(made.id),
      when: 'absent',
      row: { kind: 'record', version: 1, body: JSON.stringify(made) },
    },
    // A new version of every directory above: who is about to move one looks again, and finds the mount.
    ...chain.map(({ key, inode }) => putRow(key, inode, {})),
  ]);
  return committed || undefined;
}

const recordKey = (id: MountId) => ({ directory: MOUNTS, name: id as string as Name });

/** The rows go, the store stays as it is. */
export async function unmount(context: Context, actor: Actor, path: Path): Promise<void> {
  demandAdministrator(context, actor, 'mount and unmount stores');
  await refreshMounts(context);
  const place = await resolveOne(context, actor, path, { follow: true });
  const id = place.inode.mount;
  const mounted = id === undefined ? undefined : context.mounted.get(id);
  if (!id || !mounted) throw new LeatError('invalid', `${toText(path)}: is not a mount; \`leat mounts\` lists them`);
  const below = mountsWithin(context, place.path).find(({ mount: each }) => each.id !== id);
  if (below) {
    throw new LeatError('busy', `${toText(path)}: ${toText(below.mount.path)} is mounted below it; unmount that first`);
  }
  context.leases.demand(context, id);
  // Nobody begins a change that the store would never be told.
  context.mounted.set(id, { ...mounted, mount: { ...mounted.mount, readOnly: true } });
  try {
    await drain(context, mounted.mount);
    await retried(context, path, () => part(context, actor, place.path, id));
  } catch (error) {
    context.mounted.set(id, mounted);
    throw error;
  }
  context.mounted.delete(id);
  const listings = [...context.listings.values()].filter((listing) => listing.mount === id);
  await Promise.allSettled(listings.map(({ done }) => done));
  await mounted.store.close();
}

/** What is owed would be lost with the mount: it gets a while to be done. */
async function drain(context: Context, { id, path }: Mount): Promise<void> {
  const until = context.clock() + DRAIN_MS_MAX;
  while (context.intents.keys.isPending({ mount: id, key: '' as StoreKey })) {
    if (context.clock() > until) {
      const what = `its store is still owed ${context.intents.owes(id)} changes`;
      throw new LeatError('busy', `${toText(path)}: ${what}; see \`leat info\`, and try again when there are none`);
    }
    await context.sleep(DRAIN_POLL_MS);
  }
}

async function part(context: Context, actor: Actor, path: Path, id: MountId): Promise<true | undefined> {
  const chain = await resolve(context, actor, path);
  const { inode, key } = chain.pop() as Place;
  if (inode.mount !== id) return true;
  if (await hasWaited(context, chain.slice(-1))) return undefined;
  const removal: Change = { act: 'remove', key, when: asRead(inode) };
  const { committed } = await commit(context, actor, [
    ...(path === ROOT_PATH ? emptied(context, { inode, key }) : [removal, ...unlisted(chain.at(-1))]),
    ...toTrash(context, inode),
    { act: 'remove', key: recordKey(id), when: 'any' },
  ]);
  return committed || undefined;
}

/** The store around a nested mount may have something by its name, which comes to light again. */
function unlisted(directory: Place | undefined): Change[] {
  if (!directory?.origin) return [];
  const { listedAt: _, ...rest } = directory.inode;
  const row = { ...rest, version: rest.version + 1 };
  return [{ act: 'put', key: directory.key, when: asRead(rest), row }];
}

/** The root cannot go, but what is in it can: it gets a new id, and the old one goes to the trash with all that hangs on it. */
function emptied(context: Context, { inode, key }: Pick<Place, 'inode' | 'key'>): Change[] {
  const { mount: _, origin: __, listedAt: ___, quota: ____, ...plain } = inode;
  const id = context.newId();
  const row = { ...plain, version: inode.version + 1, id };
  return [{ act: 'put', key, when: asRead(inode), row }, keptFirstAt(id, { key })];
}

export function mountsOf(context: Context): Mount[] {
  const mounts = [...context.mounted.values()].map((each) => withoutSecrets(each.mount));
  return mounts.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function withoutSecrets(mount: Mount): Mount {
  const options = Object.entries(mount.options).map(([name, value]) => [name, SECRET.test(name) ? '(hidden)' : value]);
  return { ...mount, options: Object.fromEntries(options) as Record<string, string> };
}
