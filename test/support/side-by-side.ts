import { constants } from 'node:fs';
import { type FileAct, FIRST_ACTS, PROCESSES } from './file-acts.ts';
import { type Outcome, type Performer, startPerformer } from './performer.ts';

/** Set by a test, not by the clock, before this. */
const NOW_SINCE_NS = 10n ** 18n;

interface Attributes {
  readonly kind: number;
  readonly inode: string;
  readonly mtime: string;
}
type Look = Readonly<Record<string, Attributes>>;

/** What was written and not yet told of may be lost, so nothing can be compared any more. */
class Full extends Error {}

/** One of two folders in which the same is done. */
class Side {
  readonly #performers: readonly Performer[];
  #before: Look = {};
  readonly #late = new Set<string>();

  constructor() {
    this.#performers = Array.from({ length: PROCESSES }, startPerformer);
  }

  async enter(path: string): Promise<void> {
    const enter = { do: 'enter', path };
    for (const performer of this.#performers) {
      const { errno } = await performer.perform(enter);
      if (errno !== undefined) throw new Error(`${path}: ${errno}`);
    }
    this.#late.clear();
    await this.look();
  }

  async perform(act: FileAct): Promise<Outcome> {
    const performer = this.#performers[act.by];
    if (!performer) throw new Error(`there is no process ${act.by}`);
    const { late = [], ...outcome } = await performer.perform(act);
    if (outcome.errno === 'ENOSPC') throw new Full();
    for (const inode of late) this.#late.add(inode);
    return outcome;
  }

  async closeAll(): Promise<void> {
    for (const by of this.#performers.keys()) await this.perform({ do: 'closeAll', by });
  }

  async dropCache(): Promise<void> {
    await this.perform({ do: 'dropCache', by: 0 });
  }

  /** After this the folder shows what is left of it. */
  async giveUp(): Promise<void> {
    for (const performer of this.#performers) await performer.perform({ do: 'closeAll' });
    await this.#performers[0]?.perform({ do: 'dropCache' });
  }

  /** Holds on to nothing any more. */
  async leave(): Promise<void> {
    for (const performer of this.#performers) await performer.perform({ do: 'leave' });
  }

  /** What both sides must have alike. Of times of the clock: whether they have changed since the last look. */
  async look(): Promise<Readonly<Record<string, object>>> {
    const { came, errno } = await this.perform({ do: 'look', by: 0 });
    if (errno !== undefined) return { error: { errno } };
    const now = came as Look;
    const before = this.#before;
    this.#before = now;
    const inodes = new Set(Object.values(now).map(({ inode }) => inode));
    for (const inode of this.#late) if (!inodes.has(inode)) this.#late.delete(inode);
    return Object.fromEntries(
      Object.entries(now)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([path, { inode, mtime, ...rest }]) => {
          const old = before[path]?.inode === inode ? before[path] : undefined;
          const modified = BigInt(mtime) < NOW_SINCE_NS ? mtime : old?.mtime === mtime ? 'the same' : 'changed';
          // Those of a directory are folded from what becomes of its entries, and may come later; of a symlink, its store tells.
          const isUntold = rest.kind !== constants.S_IFREG || this.#late.has(inode);
          return [path, isUntold ? rest : { ...rest, modified }];
        }),
    );
  }

  async stop(): Promise<void> {
    for (const performer of this.#performers) await performer.stop();
  }
}

/** What a run ends with that found no room left in our folder. */
export const FULL = 'there is no room left';

export interface SideBySide {
  /** Does it all in both folders; the first difference, `FULL` or undefined. All handles are closed afterwards. */
  run(
    acts: readonly FileAct[],
    folders: { readonly ours: string; readonly theirs: string },
  ): Promise<string | undefined>;
  stop(): Promise<void>;
}

/**
 * Performs the same operations in two folders, by two processes each, and compares all that can be seen after each of them.
 * `broken` plants a fault: what becomes of an act on our side.
 */
export function sideBySide(broken: (act: FileAct) => FileAct = (act) => act): SideBySide {
  const [ours, theirs] = [new Side(), new Side()];
  const compare = async (): Promise<string | undefined> => {
    const [mine, yours] = await Promise.all([ours.look(), theirs.look()]);
    const different = [...new Set([...Object.keys(mine), ...Object.keys(yours)])].filter(
      (path) => textOf(mine[path]) !== textOf(yours[path]),
    );
    if (different.length === 0) return undefined;
    return different.map((path) => `${path}: ${textOf(mine[path])} but should be ${textOf(yours[path])}`).join('\n');
  };
  const differenceAfter = async (act: FileAct): Promise<string | undefined> => {
    const mine = await ours.perform(broken(act));
    if (act.do === 'allocate' && mine.errno === 'ENOTSUP') return undefined;
    const yours = await theirs.perform(act);
    const rest = restOf(act, mine, yours);
    if (rest) await ours.perform(rest);
    return JSON.stringify(mine) === JSON.stringify(yours)
      ? compare()
      : `it answered ${JSON.stringify(mine)}, but should have answered ${JSON.stringify(yours)}`;
  };
  const firstDifference = async (acts: readonly FileAct[]): Promise<string | undefined> => {
    for (const [index, act] of [...FIRST_ACTS, ...acts].entries()) {
      const difference = await differenceAfter(act);
      if (difference === undefined) continue;
      // A page of a mapping that found no room is gone before anybody is told; who closes is told.
      await ours.closeAll();
      return `after ${index < FIRST_ACTS.length ? 'the first acts' : `act ${index - FIRST_ACTS.length}`}, ${JSON.stringify(act)}:\n${difference}`;
    }
    await Promise.all([ours.closeAll(), theirs.closeAll()]);
    const closed = await compare();
    if (closed !== undefined) return `after all was closed:\n${closed}`;
    await ours.dropCache();
    const dropped = await compare();
    return dropped === undefined ? undefined : `after the kernel had forgotten all:\n${dropped}`;
  };
  return {
    async run(acts, folders) {
      await ours.enter(folders.ours);
      await theirs.enter(folders.theirs);
      try {
        return await firstDifference(acts);
      } catch (error) {
        if (!(error instanceof Full)) throw error;
        await ours.giveUp();
        return FULL;
      } finally {
        await Promise.all([ours.leave(), theirs.leave()]);
      }
    },
    async stop() {
      await Promise.all([ours.stop(), theirs.stop()]);
    },
  };
}

/** What is left to be done where less came than should have. */
function restOf(act: FileAct, mine: Outcome, yours: Outcome): FileAct | undefined {
  const came = Number(mine.came);
  if (act.do !== 'copyRange' && act.do !== 'write') return undefined;
  if (!(came < Number(yours.came))) return undefined;
  const further = (name: string) => typeof act[name] === 'number' && { [name]: act[name] + came };
  return { ...act, ...further('offset'), ...further('at'), size: Number(act['size']) - came };
}

const textOf = (attributes: object | undefined) => (attributes ? JSON.stringify(attributes) : 'nothing');
