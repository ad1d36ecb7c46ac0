import { LeatError } from '../model/faults.ts';
import type { InodeId } from '../model/ids.ts';
import { type Path, toText } from '../model/names.ts';
import { type Usage, usageOf } from '../model/quota.ts';
import type { Context, Place } from './context.ts';
import type { Actor } from './namespace.ts';
import { resolve, type Target } from './resolve.ts';
import type { UsageCount } from './usage-tree.ts';

interface Left {
  readonly limit: number;
  readonly left: number;
}

/** What quotas leave at a path; where several do, the one that leaves least. Absent: none limits it. */
export interface Room {
  readonly bytes?: Left;
  readonly entries?: Left;
}

const MEASURES = ['bytes', 'entries'] as const;

export interface Spending {
  /** From the root on; quotas of directories on it count. */
  readonly way: readonly Place[];
  /** For which it is. */
  readonly path: Path;
  readonly usage: Usage;
}

/**
 * The limits, as they hold for what is done here at once: what is being made counts as made. Whether a directory has a quota
 * stands in its row, which everybody who makes something there has read: where there is none, nobody looks for it.
 */
export class Quotas {
  readonly usage: UsageCount;
  readonly #reserved = new Map<InodeId, Usage>();
  #freed = Promise.withResolvers<void>();

  constructor(usage: UsageCount) {
    this.usage = usage;
  }

  /** Waits for others only where they may fill the room that is left, or leave it. */
  async reserve(limited: readonly Place[], { path, usage }: Omit<Spending, 'way'>): Promise<() => void> {
    for (;;) {
      for (const { inode } of limited) await this.usage.counted(inode.id);
      const { promise } = this.#freed;
      if (limited.every((place) => this.#fits(place, path, usage))) break;
      await promise;
    }
    for (const { inode } of limited) this.#reserve(inode.id, usage, 1);
    return () => {
      for (const { inode } of limited) this.#reserve(inode.id, usage, -1);
      this.#freed.resolve();
      this.#freed = Promise.withResolvers<void>();
    };
  }

  #fits({ inode, path: of }: Place, path: Path, wanted: Usage): boolean {
    const used = this.usage.now(inode.id);
    const reserved = this.#reserved.get(inode.id);
    let fits = true;
    for (const measure of MEASURES) {
      const limit = inode.quota?.[measure];
      if (limit === undefined || wanted[measure] <= 0) continue;
      const sum = used[measure] + wanted[measure];
      if (sum > limit) throw exceeded(path, { of, measure, limit, sum });
      fits &&= sum + (reserved?.[measure] ?? 0) <= limit;
    }
    return fits;
  }

  #reserve(id: InodeId, { entries, bytes }: Usage, sign: number): void {
    const before = this.#reserved.get(id) ?? { entries: 0, bytes: 0 };
    const now = { entries: before.entries + sign * entries, bytes: before.bytes + sign * bytes };
    if (now.entries === 0 && now.bytes === 0) this.#reserved.delete(id);
    else this.#reserved.set(id, now);
  }
}

function exceeded(
  path: Path,
  {
    of,
    measure,
    limit,
    sum,
  }: { readonly of: Path; readonly measure: string; readonly limit: number; readonly sum: number },
): LeatError {
  const what = `would make ${sum} of the ${limit} ${measure} that the quota of ${toText(of)} allows`;
  return new LeatError(
    'quotaExceeded',
    `${toText(path)}: ${what}; remove something, or raise it with \`leat quota set\``,
  );
}

/** Does what makes a tree larger, if its quotas allow; what the act answers with nothing, or false, was not done. */
export async function spending<Result>(
  context: Context,
  { way, path, usage }: Spending,
  act: () => Promise<Result>,
): Promise<Result> {
  const limited = way.filter(({ inode }) => inode.quota);
  if (limited.length === 0 || (usage.entries <= 0 && usage.bytes <= 0)) return act();
  const release = await context.quotas.reserve(limited, { path, usage });
  try {
    const result = await act();
    if (result) for (const { inode } of limited) context.quotas.usage.spent(inode.id, usage);
    return result;
  } finally {
    release();
  }
}

/** Throws where there would be no room. */
export async function demandRoom(context: Context, wanted: Spending): Promise<void> {
  await spending(context, wanted, async () => false);
}

interface Move {
  readonly from: Target;
  readonly to: Target;
  readonly place: Place;
  readonly replaced: Place | undefined;
}

/** What a move adds, and the directories that it is added to. A tree that no quota has counted yet is counted now. */
export async function growthBy(context: Context, { from, to, place, replaced }: Move): Promise<Spending> {
  const isLeft = ({ inode }: Place) => from.chain.some((each) => each.inode.id === inode.id);
  const way = to.chain.filter((each) => each.inode.quota && !isLeft(each));
  if (way.length === 0) return { way, path: to.path, usage: { entries: 0, bytes: 0 } };
  const moved = await usageAt(context, place);
  const gone = replaced ? await usageAt(context, replaced) : { entries: 0, bytes: 0 };
  return {
    way,
    path: to.path,
    usage: { entries: moved.entries - gone.entries, bytes: moved.bytes - gone.bytes },
  };
}

async function usageAt({ quotas: { usage } }: Context, { key, inode }: Place): Promise<Usage> {
  if (inode.kind !== 'directory') return usageOf(key, inode);
  await usage.counted(inode.id);
  const { entries, bytes } = usage.now(inode.id);
  return { entries: entries + 1, bytes };
}

export async function roomOn({ quotas: { usage } }: Context, way: readonly Place[]): Promise<Room> {
  const room: { -readonly [Measure in keyof Room]: Room[Measure] } = {};
  for (const { inode } of way) {
    if (!inode.quota) continue;
    await usage.counted(inode.id);
    for (const measure of MEASURES) {
      const limit = inode.quota[measure];
      if (limit === undefined) continue;
      const left = Math.max(0, limit - usage.now(inode.id)[measure]);
      if (left < (room[measure]?.left ?? Infinity)) room[measure] = { limit, left };
    }
  }
  return room;
}

export async function roomAt(context: Context, actor: Actor, path: Path): Promise<Room> {
  return context.quotas.usage.isNone() ? {} : roomOn(context, await resolve(context, actor, path));
}
