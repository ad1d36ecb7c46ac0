import { toLeatError } from '../model/faults.ts';
import { type InodeId, QUOTAS } from '../model/ids.ts';
import type { Inode, Row } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import { type Usage, usageOf } from '../model/quota.ts';
import type { ChangeFeed, RowChange } from '../ports/change-feed.ts';
import type { ListedRow, Metastore } from '../ports/metastore.ts';
import { allRows } from './all-rows.ts';

const PAGE_ROWS = 1000;
/** Read without letting others have a turn; a directory counts as some. */
const ROWS_PER_TURN = 1000;
const DIRECTORY_ROWS = 10;
const RETRY_MS = 1000;

/** How quota trees are counted, by the ids of their directories. */
export interface UsageCount {
  /** Before anything is changed. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** There is no quota anywhere, as far as is known without looking. */
  isNone(): boolean;
  /** Resolves when the tree has been counted. */
  counted(id: InodeId): Promise<void>;
  /** The same anew, whatever is known. */
  count(id: InodeId): Promise<void>;
  /** What was counted last. */
  now(id: InodeId): Usage;
  /** So much is there now that may not have been counted yet. */
  spent(id: InodeId, usage: Usage): void;
}

interface Totals extends Usage {
  /** Directories in the tree whose rows are still to be read. */
  readonly unread: number;
}

/** A directory, with the totals of all that is below it. */
class Directory {
  readonly id: InodeId;
  above: Directory | undefined;
  totals: Totals = { entries: 0, bytes: 0, unread: 0 };
  hasQuota = false;
  reading: Reading | undefined;

  constructor(id: InodeId) {
    this.id = id;
  }

  add({ entries, bytes, unread = 0 }: Usage & Partial<Totals>, sign = 1): void {
    this.totals = {
      entries: this.totals.entries + sign * entries,
      bytes: this.totals.bytes + sign * bytes,
      unread: this.totals.unread + sign * unread,
    };
    this.above?.add({ entries, bytes, unread }, sign);
  }
}

/**
 * Of a directory whose rows are being read. What changes where the reading has passed is counted at once; what changes ahead of
 * it, or in a page that is on its way, is kept until the end, because of that row the reading may see either state.
 */
class Reading {
  passed: Name | undefined;
  readonly ahead = new Map<Name, Inode | undefined>();

  isAhead(name: Name): boolean {
    return this.passed === undefined || name > this.passed || this.ahead.has(name);
  }
}

interface UsageTreeDeps {
  readonly metastore: Metastore;
  readonly feed: ChangeFeed;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: (message: string) => void;
  /** Of a page; `PAGE_ROWS` unless given. */
  readonly pageRows?: number;
}

/**
 * What lies in the trees of quotas, where all commits are made by this process: every directory in them with its totals, read
 * once and then kept in step by the feed, so it is exact as soon as a commit has answered. It takes memory for each directory,
 * none for files, and nothing at all while there is no quota.
 */
export class UsageTree implements UsageCount {
  readonly #deps: UsageTreeDeps;
  readonly #unsubscribe: () => void;
  #directories = new Map<InodeId, Directory>();
  readonly #unread: Directory[] = [];
  #reader: Promise<void> | undefined;
  #progress = Promise.withResolvers<void>();
  #rowsOfTurn = 0;
  #isStopped = false;

  constructor(deps: UsageTreeDeps) {
    this.#deps = deps;
    this.#unsubscribe = deps.feed.subscribe(({ changes }) => this.#follow(changes));
  }

  /** Begins to count the trees of the quotas that are there already. */
  async start(): Promise<void> {
    for await (const { name } of allRows(this.#deps.metastore, QUOTAS)) {
      this.#tracked(name as string as InodeId).hasQuota = true;
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#unsubscribe();
    await this.#reader;
    this.#progressed();
  }

  isNone(): boolean {
    return this.#directories.size === 0;
  }

  async counted(id: InodeId): Promise<void> {
    while (this.#tracked(id).totals.unread > 0 && !this.#isStopped) await this.#progress.promise;
  }

  /** Nothing is known but what is so. */
  count(id: InodeId): Promise<void> {
    return this.counted(id);
  }

  now(id: InodeId): Usage {
    const { entries, bytes } = this.#tracked(id).totals;
    return { entries, bytes };
  }

  /** The feed tells. */
  spent(): void {}

  #tracked(id: InodeId): Directory {
    const there = this.#directories.get(id);
    if (there) return there;
    const directory = this.#made(id);
    this.#read(directory);
    return directory;
  }

  #made(id: InodeId): Directory {
    const directory = new Directory(id);
    this.#directories.set(id, directory);
    return directory;
  }

  #read(directory: Directory): void {
    directory.reading = new Reading();
    directory.add({ entries: 0, bytes: 0, unread: 1 });
    this.#unread.push(directory);
    this.#reader ??= this.#readAll();
  }

  async #readAll(): Promise<void> {
    // Not within the commit that has brought it.
    await Promise.resolve();
    for (let next = this.#unread.pop(); next && !this.#isStopped; next = this.#unread.pop()) {
      const { reading } = next;
      // What nobody wants to know of any more has been forgotten.
      if (!reading || this.#directories.get(next.id) !== next) continue;
      try {
        await this.#readRows(next, reading);
      } catch (error) {
        this.#deps.log(`a quota is not counted yet: ${toLeatError(error).message}`);
        this.#unread.push(next);
        await this.#deps.sleep(RETRY_MS);
      }
    }
    this.#reader = undefined;
  }

  async #readRows(directory: Directory, reading: Reading): Promise<void> {
    const { pageRows: limit = PAGE_ROWS } = this.#deps;
    let page: ListedRow[];
    do {
      const after = reading.passed;
      const options = { limit, ...(after !== undefined && { after }) };
      page = await this.#deps.metastore.list(directory.id, options);
      for (const { name, row } of page) {
        const isKept = reading.ahead.has(name);
        reading.passed = name;
        if (!isKept && row.kind !== 'record') this.#enter(directory, name, row);
      }
      await this.#turn(page.length);
    } while (page.length === limit && !this.#isStopped);
    directory.reading = undefined;
    for (const [name, inode] of reading.ahead) if (inode) this.#enter(directory, name, inode);
    directory.add({ entries: 0, bytes: 0, unread: 1 }, -1);
    this.#progressed();
  }

  async #turn(rows: number): Promise<void> {
    this.#rowsOfTurn += rows + DIRECTORY_ROWS;
    if (this.#rowsOfTurn < ROWS_PER_TURN) return;
    this.#rowsOfTurn = 0;
    await this.#deps.sleep(0);
  }

  #progressed(): void {
    this.#progress.resolve();
    this.#progress = Promise.withResolvers<void>();
  }

  /** All that leaves before all that comes, because what is moved does both in one commit. */
  #follow(changes: readonly RowChange[]): void {
    if (this.#directories.size === 0 && !changes.some(({ after }) => isLimited(after))) return;
    for (const { key, before } of changes) if (isInode(before)) this.#left(key.directory, key.name, before);
    for (const { key, before, after } of changes) {
      const isNew = !before && after?.version === 1;
      if (isInode(after)) this.#came(key.directory, key.name, after, isNew);
      else this.#directories.get(key.directory)?.reading?.ahead.set(key.name, undefined);
    }
    const kept = new Set(changes.flatMap(({ after }) => (isInode(after) ? [after.id] : [])));
    for (const { before } of changes) {
      const isGone = isInode(before) && !kept.has(before.id);
      if (isGone && this.#directories.delete(before.id)) this.#progressed();
    }
    if (changes.some(({ before, after }) => isLimited(before) && !isLimited(after))) this.#forget();
  }

  #left(at: InodeId, name: Name, inode: Inode): void {
    const directory = this.#directories.get(at);
    if (!directory || directory.reading?.isAhead(name)) return;
    directory.add(usageOf({ directory: at, name }, inode), -1);
    const child = this.#directories.get(inode.id);
    if (child?.above !== directory) return;
    directory.add(child.totals, -1);
    child.above = undefined;
  }

  #came(at: InodeId, name: Name, inode: Inode, isNew: boolean): void {
    const directory = this.#directories.get(at);
    if (directory?.reading?.isAhead(name)) directory.reading.ahead.set(name, inode);
    else if (directory) this.#enter(directory, name, inode, isNew);
    const own = isLimited(inode) ? this.#tracked(inode.id) : this.#directories.get(inode.id);
    if (own) own.hasQuota = isLimited(inode);
  }

  /** Below a directory that is new there is nothing yet to be read. */
  #enter(directory: Directory, name: Name, inode: Inode, isNew = false): void {
    directory.add(usageOf({ directory: directory.id, name }, inode));
    if (inode.kind !== 'directory') return;
    const there = this.#directories.get(inode.id);
    const child = there ?? this.#made(inode.id);
    child.above = directory;
    child.hasQuota = isLimited(inode);
    directory.add(child.totals);
    if (!there && !isNew) this.#read(child);
  }

  /** Directories that lie in no quota's tree any more. */
  #forget(): void {
    const isWanted = (directory: Directory) => {
      let at: Directory | undefined = directory;
      while (at && !at.hasQuota) at = at.above;
      return at !== undefined;
    };
    const wanted = [...this.#directories].filter(([, directory]) => isWanted(directory));
    this.#directories = new Map(wanted);
    for (const [, directory] of wanted) {
      if (directory.above && !this.#directories.has(directory.above.id)) directory.above = undefined;
    }
    this.#progressed();
  }
}

const isInode = (row: Row | undefined): row is Inode => row !== undefined && row.kind !== 'record';
const isLimited = (row: Row | undefined): boolean => isInode(row) && row.quota !== undefined;
