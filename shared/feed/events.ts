import { ABOVE_ROOT, type InodeId } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { joinPath, type Path, ROOT_PATH } from '../model/names.ts';
import { mayAccess, READ, SEARCH } from '../namespace/access.ts';
import type { Actor } from '../namespace/namespace.ts';
import type { Cursor, FollowedFeed, RowChange } from '../ports/change-feed.ts';
import type { Metastore } from '../ports/metastore.ts';
import { inodesOf, isOfFiles } from './changes.ts';
import type { KeptDirectory } from '../namespace/directory-keys.ts';
import { DirectoryPaths } from './directory-paths.ts';

/**
 * A rename shows as `removed` and `created`, of a directory without what is below it. The path is the one that leads there when
 * the event is read. Whoever resumes behind a cursor has seen all before it; events without one belong to the same commit as
 * the next that has one.
 */
export interface FileEvent {
  readonly what: 'created' | 'changed' | 'removed';
  readonly cursor?: Cursor;
  readonly path: Path;
  readonly inode: Inode;
}

export type NamespaceEvent =
  | FileEvent
  /** `passed`: there was nothing to see up to here. `gap`: events were lost, so look at the files themselves. */
  | { readonly what: 'ready' | 'gap' | 'passed'; readonly cursor: Cursor };

export interface Following {
  /** Who looks: an event is shown to whoever may list the directory in which it happened. */
  readonly actor: Actor;
  /** Without symlinks; what happens to it and below it is shown. */
  readonly path: Path;
  readonly after?: Cursor;
  readonly signal: AbortSignal;
}

/** What happens to files, for users. */
export interface NamespaceEvents {
  follow(following: Following): AsyncIterable<NamespaceEvent>;
}

export interface NamespaceEventsDeps {
  readonly feed: FollowedFeed;
  readonly metastore: Metastore;
}

export function namespaceEvents({ feed, metastore }: NamespaceEventsDeps): NamespaceEvents {
  const paths = new DirectoryPaths(metastore);
  return {
    async *follow({ actor, path, ...from }): AsyncGenerator<NamespaceEvent> {
      for await (const step of feed.follow(from)) {
        if (step.what !== 'changes') {
          yield step;
          continue;
        }
        const { cursor } = step;
        const events = (await eventsOf(paths, step.changes)).filter((event) => isShown(event, actor, path));
        if (events.length === 0) yield { what: 'passed', cursor };
        for (const [i, { way: _, ...event }] of events.entries()) {
          yield { ...event, ...(i === events.length - 1 && { cursor }) };
        }
      }
    },
  };
}

interface Located extends FileEvent {
  /** The directories on the way to it. */
  readonly way: readonly KeptDirectory[];
}

async function eventsOf(paths: DirectoryPaths, changes: readonly RowChange[]): Promise<Located[]> {
  paths.changed(changes);
  const ofFiles = changes.filter(isOfFiles);
  const ways = new Map<InodeId, readonly KeptDirectory[] | undefined>([[ABOVE_ROOT, []]]);
  const directories = new Set(ofFiles.map(({ key }) => key.directory).filter((id) => !ways.has(id)));
  await Promise.all([...directories].map(async (id) => ways.set(id, await paths.wayTo(id))));
  return ofFiles.flatMap((change) => {
    const way = ways.get(change.key.directory);
    return way ? located(change, way) : [];
  });
}

function located(change: RowChange, way: readonly KeptDirectory[]): Located[] {
  const names = [...way.map(({ key }) => key), change.key].map(({ name }) => name).slice(1);
  const place = { path: names.reduce(joinPath, ROOT_PATH), way };
  const { gone, come, kept } = inodesOf(change);
  return [
    ...(gone ? [{ what: 'removed' as const, inode: gone, ...place }] : []),
    ...(come ? [{ what: 'created' as const, inode: come, ...place }] : []),
    ...(kept && differs(change.before, kept) ? [{ what: 'changed' as const, inode: kept, ...place }] : []),
  ];
}

/** Rows are also written for what nobody sees: marks of a removal under way, listings, versions. */
function differs(before: RowChange['before'], now: Inode): boolean {
  if (!before || before.kind === 'record') return true;
  const seen = ['mode', 'uid', 'gid', 'size', 'mtime', 'atime', 'ctime', 'generation'] as const;
  return seen.some((field) => before[field] !== now[field]);
}

function isShown({ path, way }: Located, actor: Actor, below: Path): boolean {
  const isBelow = below === ROOT_PATH || path === below || path.startsWith(`${below}/`);
  const mayList = () =>
    way.every(({ inode }, i) => mayAccess(actor, inode, i < way.length - 1 ? SEARCH : READ | SEARCH));
  return isBelow && mayList();
}
