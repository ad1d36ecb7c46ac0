import { LeatError } from '#shared/model/faults.ts';
import type { Item, Side } from './side.ts';

const COPIES_AT_ONCE = 8;

export interface Place {
  readonly side: Side;
  readonly path: string;
}

export interface CopyOptions {
  readonly recursive: boolean;
  /** Keeps modification times. */
  readonly keepTimes: boolean;
  copied(path: string, item: Item): void;
}

/** Copies a file, or a tree with `recursive`. Stops at the first failure, once what has begun is over. */
export async function copy(from: Place, to: Place, options: CopyOptions): Promise<void> {
  const item = await from.side.stat(from.path, { follow: !options.recursive });
  if (!item) throw new LeatError('notFound', `${from.path}: no such file or directory`);
  if (item.kind === 'directory' && !options.recursive) {
    throw new LeatError('isDirectory', `${from.path} is a directory; -r copies it with all below`);
  }
  if (item.kind === 'directory' && isSameOrBelow(to, from)) {
    throw new LeatError('invalid', `${from.path} cannot be copied into itself, to ${to.path}`);
  }
  const lanes = createLanes(COPIES_AT_ONCE);
  try {
    await walk(item, { from, to, options, lanes });
  } finally {
    await lanes.settled();
  }
  lanes.check();
}

/** A tree that is copied below itself would grow for ever. */
function isSameOrBelow(to: Place, from: Place): boolean {
  return to.side === from.side && `${to.path}/`.startsWith(from.path === '/' ? '/' : `${from.path}/`);
}

interface Walk {
  readonly from: Place;
  readonly to: Place;
  readonly options: CopyOptions;
  readonly lanes: Lanes;
}

async function walk(item: Item, { from, to, options, lanes }: Walk): Promise<void> {
  if (item.kind !== 'directory') {
    await lanes.add(() => copyOne(item, { from, to, options }));
    return;
  }
  await to.side.makeDirectory(to.path, item);
  options.copied(to.path, item);
  for await (const child of from.side.list(from.path)) {
    await walk(child, { from: within(from, child), to: within(to, child), options, lanes });
  }
}

async function copyOne(item: Item, { from, to, options }: Omit<Walk, 'lanes'>): Promise<void> {
  if (item.kind === 'symlink') {
    await to.side.makeSymlink(to.path, item.target ?? '');
  } else {
    await to.side.write(to.path, await from.side.read(from.path), item);
    if (options.keepTimes) await to.side.setTime(to.path, item.mtimeNs);
  }
  options.copied(to.path, item);
}

function within({ side, path }: Place, { name }: Item): Place {
  return { side, path: `${path === '/' ? '' : path}/${name}` };
}

interface Lanes {
  /** Waits for a free lane, then starts the work; throws what went wrong in any work before. */
  add(work: () => Promise<void>): Promise<void>;
  settled(): Promise<void>;
  check(): void;
}

function createLanes(width: number): Lanes {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const check = () => {
    if (failures.length > 0) throw failures[0];
  };
  return {
    async add(work) {
      while (running.size >= width) await Promise.race(running);
      check();
      const run: Promise<void> = work()
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(run));
      running.add(run);
    },
    async settled() {
      await Promise.all(running);
    },
    check,
  };
}
