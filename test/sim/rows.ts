import { type InodeId, PLACES, ROOT, TRASH } from '#shared/model/ids.ts';
import type { Inode, Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { CommitEvent } from '#shared/ports/change-feed.ts';
import type { RowKey } from '#shared/ports/metastore.ts';

/** An inode had a key, and has none, or one that no path leads to. */
export interface Departure {
  readonly id: InodeId;
  readonly from: RowKey;
  /** The operation in whose commit it went; undefined of what is done behind. */
  readonly by: string | undefined;
  /** Into the trash, with all below; else for good. */
  readonly isTree: boolean;
}

export interface Kept {
  readonly key: RowKey;
  readonly inode: Inode;
}

/** What the commits of a run add up to. */
export interface Rows {
  /** Where inodes are: more than one place is a fault. */
  readonly places: ReadonlyMap<InodeId, readonly Kept[]>;
  /** What a path leads to. */
  readonly reachable: ReadonlyMap<InodeId, string>;
  readonly departures: readonly Departure[];
  /** By which operation an inode was put first, and where. */
  readonly births: ReadonlyMap<InodeId, { readonly by: string | undefined; readonly key: RowKey }>;
  /** Bodies of the records that say where directories are kept. */
  readonly keptAt: ReadonlyMap<InodeId, Partial<RowKey>>;
  readonly circles: readonly string[];
}

export function rowsAfter(commits: readonly CommitEvent[]): Rows {
  const directories = new Map<InodeId, Map<Name, Row>>();
  const departures: Departure[] = [];
  const births = new Map<InodeId, { by: string | undefined; key: RowKey }>();
  for (const { source: by, changes } of commits) {
    const stay = new Set(
      changes.flatMap(({ key, after }) => (isInode(after) && key.directory !== TRASH ? [after.id] : [])),
    );
    const trashed = new Set(
      changes.flatMap(({ key, after }) => (isInode(after) && key.directory === TRASH ? [after.id] : [])),
    );
    for (const { key, before, after } of changes) {
      const rows = directories.get(key.directory) ?? new Map<Name, Row>();
      directories.set(key.directory, rows);
      if (after) rows.set(key.name, after);
      else rows.delete(key.name);
      if (isInode(after) && !births.has(after.id)) births.set(after.id, { by, key });
      if (!isInode(before) || key.directory === TRASH || stay.has(before.id)) continue;
      departures.push({ id: before.id, from: key, by, isTree: trashed.has(before.id) });
    }
  }
  return { departures, births, ...walked(directories), ...indexed(directories) };
}

const isInode = (row: Row | undefined): row is Inode => row !== undefined && row.kind !== 'record';

function walked(directories: ReadonlyMap<InodeId, ReadonlyMap<Name, Row>>): Pick<Rows, 'reachable' | 'circles'> {
  const reachable = new Map<InodeId, string>();
  const circles: string[] = [];
  const visit = (directory: InodeId, path: string) => {
    for (const [name, row] of directories.get(directory) ?? []) {
      if (row.kind === 'record') continue;
      const at = `${path}/${name}`;
      const other = reachable.get(row.id);
      if (other !== undefined) circles.push(`${at} and ${other} are the same inode`);
      else {
        reachable.set(row.id, at);
        if (row.kind === 'directory') visit(row.id, at);
      }
    }
  };
  visit(ROOT, '');
  return { reachable, circles };
}

function indexed(directories: ReadonlyMap<InodeId, ReadonlyMap<Name, Row>>): Pick<Rows, 'places' | 'keptAt'> {
  const places = new Map<InodeId, Kept[]>();
  const keptAt = new Map<InodeId, Partial<RowKey>>();
  for (const [directory, rows] of directories) {
    for (const [name, row] of rows) {
      if (isInode(row)) places.set(row.id, [...(places.get(row.id) ?? []), { key: { directory, name }, inode: row }]);
      else if (directory === PLACES) keptAt.set(name as string as InodeId, JSON.parse(row.body) as Partial<RowKey>);
    }
  }
  return { places, keptAt };
}
