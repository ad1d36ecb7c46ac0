import { LeatError } from '../model/faults.ts';
import { type InodeId, QUOTAS } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { isWithin, type Path, toText } from '../model/names.ts';
import type { QuotaLimits, Usage } from '../model/quota.ts';
import type { Change } from '../ports/metastore.ts';
import { demandAdministrator, mayAccess, SEARCH } from './access.ts';
import { allRows } from './all-rows.ts';
import { hasWaited } from './closing.ts';
import { asRead, commit, type Context, type Place, retried } from './context.ts';
import type { Actor } from './namespace.ts';
import { wayNow } from './places.ts';
import { demandDirectory, resolveOne } from './resolve.ts';
import { quotaKey } from './usage-records.ts';
import { pathOf } from './written.ts';

/** What a directory may hold, and what it does. */
export interface Quota {
  readonly path: Path;
  readonly limits: QuotaLimits;
  readonly used: Usage;
}

/** Answers when the tree has been counted. */
export async function setQuota(context: Context, actor: Actor, path: Path, limits: QuotaLimits): Promise<Quota> {
  if (limits.bytes === undefined && limits.entries === undefined) {
    throw new LeatError('invalid', `${toText(path)}: a quota limits bytes, entries or both`);
  }
  return shown(context, await changeQuota(context, actor, path, limits));
}

export async function removeQuota(context: Context, actor: Actor, path: Path): Promise<void> {
  await changeQuota(context, actor, path, undefined);
}

function changeQuota(context: Context, actor: Actor, path: Path, quota: QuotaLimits | undefined): Promise<Place> {
  demandAdministrator(context, actor, 'set and remove quotas');
  return retried(context, path, async () => {
    const place = await resolveOne(context, actor, path, { follow: true });
    demandDirectory(place);
    if (await hasWaited(context, [place])) return undefined;
    const { quota: before, ...plain } = place.inode;
    if (!before && !quota && !actor.request?.isRetry) throw noQuota(path);
    const inode: Inode = { ...plain, ...(quota && { quota }), version: plain.version + 1 };
    const put: Change = { act: 'put', key: place.key, when: asRead(place.inode), row: inode };
    const { committed } = await commit(context, actor, [put, ...recordOf(place.inode, quota)]);
    return committed ? { ...place, inode } : undefined;
  });
}

/** Beside the row: by it they are found. */
function recordOf({ id, quota: before }: Inode, quota: QuotaLimits | undefined): Change[] {
  const key = quotaKey(id);
  if (!quota) return [{ act: 'remove', key, when: 'any' }];
  return before ? [] : [{ act: 'put', key, when: 'any', row: { kind: 'record', version: 1, body: '{}' } }];
}

const noQuota = (path: Path) =>
  new LeatError('invalid', `${toText(path)}: has no quota of its own; \`leat quota ls\` lists those there are`);

async function shown({ quotas: { usage } }: Context, { path, inode: { id, quota = {} } }: Place): Promise<Quota> {
  await usage.counted(id);
  return { path, limits: quota, used: usage.now(id) };
}

/** Those of the directory at a path and of directories below it that the actor may look at, ascending by path. */
export async function quotasBelow(context: Context, actor: Actor, path: Path): Promise<Quota[]> {
  const top = await resolveOne(context, actor, path, { follow: true });
  const quotas: Quota[] = [];
  for await (const { name } of allRows(context.metastore, QUOTAS)) {
    const id = name as string as InodeId;
    const at = await pathOf(context, id);
    if (at === undefined) {
      // Of a directory that has been removed, whose id never comes again.
      await context.metastore.commit([{ act: 'remove', key: quotaKey(id), when: 'any' }]);
      continue;
    }
    const way = await wayNow(context, at);
    const place = way?.at(-1);
    if (!way || !place?.inode.quota || !isWithin(place.path, top.path)) continue;
    const isSeen = way.slice(0, -1).every(({ inode }) => mayAccess(actor, inode, SEARCH));
    if (isSeen) quotas.push(await shown(context, place));
  }
  return quotas.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
