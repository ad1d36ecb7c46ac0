import { LeatError } from '../model/faults.ts';
import { type InodeId, TOTALS } from '../model/ids.ts';
import type { Inode, RecordRow, Row } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import type { RowChange } from '../ports/change-feed.ts';
import { inLanes } from '../namespace/lanes.ts';
import type { Clock } from '../ports/clock.ts';
import type { Change, Metastore, RowKey } from '../ports/metastore.ts';
import { isOfFiles } from './changes.ts';

/** What is in a directory itself; what is below its directories is in theirs. */
export interface Totals {
  readonly entries: number;
  /** Of its files. */
  readonly bytes: number;
}

/** `sequence`: decimal digits, greater for each later change of the same directory, and the same when it comes again. */
export interface NumberedChange extends RowChange {
  readonly sequence: string;
}

/** Of a directory that is empty, and may have been removed: nobody is going to be told again of changes that old. */
const EMPTY_LIFE_MS = 7 * 24 * 3600 * 1000;
const ATTEMPTS_MAX = 20;
const WRITES_AT_ONCE = 16;

interface Counted extends Totals {
  /** All changes up to this one are counted in. */
  readonly upTo: string;
  readonly version: number;
}

const NOTHING: Counted = { entries: 0, bytes: 0, upTo: '', version: 0 };
const keyOf = (directory: InodeId): RowKey => ({ directory: TOTALS, name: directory as string as Name });

/**
 * Counts changes into the totals of their directories: each once, however often it is handed over, because a record says up to
 * which it has counted. A directory's changes have to come in their order, and from the first on.
 */
export async function countIn(
  { metastore, clock }: { readonly metastore: Metastore; readonly clock: Clock },
  changes: readonly NumberedChange[],
): Promise<void> {
  let open = [...Map.groupBy(changes.filter(isOfFiles), ({ key }) => key.directory)];
  for (let i = 0; i < ATTEMPTS_MAX && open.length > 0; i++) {
    const before = (await metastore.get(open.map(([id]) => keyOf(id)))).map(countedIn);
    const left: typeof open = [];
    await inLanes(open.entries(), WRITES_AT_ONCE, async ([at, [id, ofIt]]) => {
      const change = putTotals(id, counted(before[at] ?? NOTHING, ofIt), { before: before[at], now: clock() });
      if (change && !(await metastore.commit([change])).committed) left.push([id, ofIt]);
    });
    open = left;
  }
  if (open.length > 0)
    throw new LeatError('contended', `the totals of ${open.length} directories: others were quicker`);
}

/** What is in each of these directories, as far as the feed has come. */
export async function totalsOf(metastore: Metastore, directories: readonly InodeId[]): Promise<Totals[]> {
  const rows = await metastore.get(directories.map(keyOf));
  return rows.map((row) => {
    const { entries, bytes } = countedIn(row) ?? NOTHING;
    return { entries, bytes };
  });
}

function counted(before: Counted, changes: readonly NumberedChange[]): Counted {
  let { entries, bytes, upTo } = before;
  for (const change of changes) {
    if (!isAfter(change.sequence, upTo)) continue;
    upTo = change.sequence;
    entries += (change.after ? 1 : 0) - (change.before ? 1 : 0);
    bytes += bytesOf(change.after) - bytesOf(change.before);
  }
  return { entries, bytes, upTo, version: before.version + 1 };
}

/** Nothing to be written when all had been counted before, or when nothing came of it. */
function putTotals(
  directory: InodeId,
  { version, ...totals }: Counted,
  { before = NOTHING, now }: { readonly before: Counted | undefined; readonly now: number },
): Change | undefined {
  if (totals.entries === before.entries && totals.bytes === before.bytes) return undefined;
  const isEmpty = totals.entries === 0;
  const row: RecordRow = {
    kind: 'record',
    version,
    body: JSON.stringify(totals),
    ...(isEmpty && { expiresAt: now + EMPTY_LIFE_MS }),
  };
  const when = before.version === 0 ? 'absent' : { version: before.version };
  return { act: 'put', key: keyOf(directory), when, row };
}

function countedIn(row: Row | undefined): Counted | undefined {
  if (row?.kind !== 'record') return undefined;
  return { ...(JSON.parse(row.body) as Omit<Counted, 'version'>), version: row.version };
}

const isAfter = (a: string, b: string): boolean => (a.length === b.length ? a > b : a.length > b.length);

function bytesOf(row: Row | undefined): number {
  const inode = row as Inode | undefined;
  return inode?.kind === 'file' ? inode.size : 0;
}
