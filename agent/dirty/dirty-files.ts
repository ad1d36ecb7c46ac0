import { truncateSync } from 'node:fs';
import { LeatError } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import { toText } from '#shared/model/names.ts';
import type { Found } from '#shared/namespace/namespace.ts';
import type { WrittenFile } from '#shared/namespace/written.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import { clockTickMs } from './clock-tick.ts';
import { keptBeside, replacedBy } from './conflicts.ts';
import { followRows, type FollowDeps } from './follow-rows.ts';
import { type CommitDeps, committed } from './commit-file.ts';
import { type ContentReader, readerOf, restingReader } from './content-reader.ts';
import { DirtyFile, type Settled, type Stamp } from './dirty-file.ts';
import { HeldRoom } from './held-room.ts';
import { makeShards } from './dirty-paths.ts';
import { abandonUploads, recover } from './recover.ts';
import type { Progress } from './progress.ts';
import { streamCut, streamOn } from './streaming.ts';
import { Hurry, untilDone } from './until-done.ts';
import { type TakeOverDeps, takenOver } from './take-over.ts';
import { Journal } from './journal.ts';
import { demandPersisted, persist, type PersistDeps } from './persist.ts';
import { reportOf } from './report.ts';

export interface DirtyFilesDeps extends PersistDeps, TakeOverDeps, CommitDeps, FollowDeps {
  /** So much later the feed may tell where an inode has come to than where it has left; 0: always at once. */
  readonly feedLagMs: number;
  /** All that has been committed is on the disk. */
  readonly flushed: () => Promise<void>;
  readonly log: (line: string) => void;
}

/**
 * The files that are written here. Their bytes lie in local files that nothing evicts, until they are in their store, or for
 * good where they have none. What is under way survives the death of the process.
 */
export class DirtyFiles {
  /** How much more may be written. */
  readonly room: HeldRoom;
  readonly #settledListeners = new Set<(settled: Settled) => void>();
  readonly #deps: DirtyFilesDeps & { readonly journal: Journal; readonly tickMs: number };
  readonly #files = new Map<InodeId, DirtyFile>();
  readonly #recovered: DirtyFile[] = [];
  readonly #opening = new Map<InodeId, Promise<unknown>>();
  readonly #unsubscribe: () => void;
  readonly #ended = new AbortController();
  readonly #hurry = new Hurry();
  readonly #behind = new Set<Promise<void>>();

  constructor(deps: DirtyFilesDeps) {
    this.room = new HeldRoom(deps.cache, { written: () => this.#files.values(), mayCome: () => this.#behind.size > 0 });
    makeShards(deps.dir);
    const journal = new Journal(`${deps.dir}/journal`);
    this.#deps = { ...deps, journal, tickMs: clockTickMs(deps.dir) };
    this.#unsubscribe = followRows(deps, {
      files: this.#files,
      journal,
      gone: (file) => file.writers === 0 && this.#track(this.#settle(file)),
      restingGone: (from, inode) => this.#restingGone(from, inode),
    });
  }

  /** What this agent is called in rows. */
  get holder(): string {
    return this.#deps.holder;
  }

  get(id: InodeId): DirtyFile | undefined {
    return this.#files.get(id);
  }

  onSettled(listener: (settled: Settled) => void): () => void {
    this.#settledListeners.add(listener);
    return () => this.#settledListeners.delete(listener);
  }

  /** A new file, which its creator has open for writing. */
  created(at: RowKey, inode: Inode): DirtyFile {
    const file = this.#files.get(inode.id) ?? this.#begin(new DirtyFile(this.#deps.dir, at, inode), true);
    file.writers++;
    return file;
  }

  /** Opens a file for writing. Ends with `release`. */
  async open(found: Found, at: RowKey, { isTruncated }: { readonly isTruncated: boolean }): Promise<DirtyFile> {
    const { id } = found.inode;
    while (this.#opening.has(id)) await this.#opening.get(id);
    let file = this.#files.get(id);
    if (!file) {
      const opening = takenOver(this.#deps, found, { at, isTruncated }).then((taken) =>
        this.#begin(taken, !found.inode.dirty),
      );
      const ended = opening.catch(() => undefined);
      this.#opening.set(id, ended);
      try {
        file = await opening;
      } finally {
        this.#opening.delete(id);
      }
    }
    this.again(file, { isTruncated });
    return file;
  }

  /** One writer more of a file that is under way, which may have no name any more. */
  again(file: DirtyFile, { isTruncated }: { readonly isTruncated: boolean }): void {
    file.writers++;
    if (!isTruncated) return;
    truncateSync(file.path, 0);
    file.base?.cutTo(0);
    streamCut(file, 0);
  }

  /** Its last writer leaves it behind: the row is brought in step, and what is owed to the store is sent. */
  release(file: DirtyFile): void {
    file.writers--;
    if (file.writers === 0) this.#track(this.#settle(file));
  }

  /** Its bytes as they are now. */
  reader(file: DirtyFile): ContentReader {
    return readerOf(this.#deps, file);
  }

  /** The same of what was found, when its bytes are here and not in its store. */
  readerOf(found: Found): ContentReader | undefined {
    const file = this.#files.get(found.inode.id);
    if (file) return this.reader(file);
    return found.inode.dirty?.holder === this.#deps.holder ? restingReader(this.#deps, found) : undefined;
  }

  /** What `close` means: the row tells, and where the file is written through it is in its store; then what is there is answered. */
  flush(file: DirtyFile): Promise<Settled | undefined> {
    return file.inTurn(async () => {
      const found = await committed(this.#deps, file);
      if (found && file.isDirty && isThrough(found)) await demandPersisted(this.#deps, file, found.path);
      return file.isStored ? file.settled : undefined;
    });
  }

  /** What `fsync` means: bytes and row are on the disk, and of a THROUGH file in the store. */
  sync(file: DirtyFile): Promise<void> {
    const row = async () => {
      const found = await committed(this.#deps, file);
      if (found && file.isDirty && found.writeType === 'THROUGH') await demandPersisted(this.#deps, file, found.path);
      await this.#deps.flushed();
    };
    return file.inTurn(async () => {
      await Promise.all([file.sync(), row()]);
    });
  }

  progressed(file: DirtyFile, progress: Progress): void {
    this.#track(streamOn(this.#deps, file, progress));
  }

  /** What the process before has left. `writers`: of a mount that goes on, which hears of it first (`resumed`). */
  async recover(writers?: ReadonlyMap<InodeId, number>): Promise<void> {
    await this.room.countOld(this.#deps.dir);
    this.#track(abandonUploads(this.#deps, this.#ended.signal));
    const found = (file: DirtyFile) => void this.#recovered.push(this.#begin(file, false));
    await recover(this.#deps, { isOpen: (id) => writers?.has(id) ?? false, found });
    for (const file of this.#recovered) file.writers = 1 + (writers?.get(file.id) ?? 0);
    if (!writers) this.resumed();
  }

  resumed(): void {
    for (const file of this.#recovered.splice(0)) this.release(file);
  }

  /** What is under way, and what hinders it. */
  report(): ReturnType<typeof reportOf> {
    return reportOf(this.#deps, this.all, this.#deps.journal.all);
  }

  get all(): readonly DirtyFile[] {
    return [...this.#files.values()];
  }

  /** Does not wait any longer with what has failed before. */
  retry(): void {
    this.#hurry.now();
  }

  async close(): Promise<void> {
    this.#ended.abort();
    while (this.#behind.size > 0) await Promise.allSettled(this.#behind);
    this.#unsubscribe();
    this.room.close();
    for (const file of this.#files.values()) {
      await file.stream?.abort().catch(() => undefined); // the journal knows it
      file.close();
    }
    this.#deps.journal.close();
  }

  #begin(file: DirtyFile, isNew: boolean): DirtyFile {
    this.room.begin(file, isNew);
    if (file.at) this.#deps.journal.note({ ...file.at, id: file.id });
    this.#files.set(file.id, file);
    return file;
  }

  #settle(file: DirtyFile): Promise<void> {
    const failed = (trouble: string | undefined) => {
      file.trouble = trouble;
      if (trouble) this.#deps.log(`${toText(file.at?.name ?? '')} could not be stored, and is tried again: ${trouble}`);
    };
    const until = { signal: this.#ended.signal, failed, hurry: this.#hurry };
    return untilDone(() => file.inTurn(() => this.#settleNow(file)), until);
  }

  async #settleNow(file: DirtyFile): Promise<void> {
    if (file.writers > 0 || this.#files.get(file.id) !== file) return;
    // Others may write it since it was closed: its row says of them then.
    if (file.isStored) return this.#giveBack(file);
    const found = await committed(this.#deps, file).catch((error: unknown) => replacedBy(this.#deps, file, error));
    if (file.writers > 0) return;
    if (!found && Date.now() < file.goneAt + this.#deps.feedLagMs) {
      throw new LeatError('contended', 'it has left its place, and may turn up at another');
    }
    if (found && 'conflict' in found) return this.#keepBeside(file, found.conflict);
    if (!found) return this.#drop(file);
    if (!file.isDirty) return this.#giveBack(file);
    if (found.writeType === 'MUST_CACHE') {
      this.room.rest(file);
      return this.#forget(file, file.row.generation);
    }
    const persisted = await persist(this.#deps, file);
    if (file.writers > 0) return;
    if (typeof persisted !== 'string') return this.#keepBeside(file, persisted.conflict);
    if (persisted === 'gone') return this.#drop(file);
    if (persisted === 'postponed') throw new LeatError('contended', 'it was written meanwhile');
    this.#giveBack(file, found.writeType === 'CACHE_THROUGH' || found.writeType === 'ASYNC_THROUGH');
  }

  async #keepBeside(file: DirtyFile, conflict: Found): Promise<void> {
    const { id } = file;
    const kept = await keptBeside(this.#deps, file, conflict);
    this.#deps.log(
      `${toText(conflict.path)}: its store has got another content; what was written here is ${toText(kept.path)}`,
    );
    this.#files.delete(id);
    this.#deps.journal.end(id);
    this.room.rest(file);
    this.#tell({ id, generation: undefined, stamp: file.row });
    return this.#settleNow(this.#begin(file, false));
  }

  #giveBack(file: DirtyFile, isKept = true): void {
    const { generation, size } = file.row;
    this.room.gone(file);
    if (file.base?.isPartial || !isKept) file.remove();
    else {
      file.base?.remove();
      this.#deps.cache.keep({ id: file.id, generation }, size, file.path);
    }
    this.#forget(file, generation);
  }

  #drop(file: DirtyFile): void {
    // Its row went with its name, and says nothing of what was written since.
    const stamp = file.stat() ?? file.row;
    this.room.gone(file);
    file.remove();
    this.#forget(file, undefined, stamp);
  }

  #forget(file: DirtyFile, generation: number | undefined, stamp: Stamp = file.row): void {
    if (file.stream) this.#track(file.stream.abort());
    file.close();
    this.#files.delete(file.id);
    this.#deps.journal.end(file.id);
    this.#tell({ id: file.id, generation, stamp });
  }

  #tell(settled: Settled): void {
    for (const listener of this.#settledListeners) listener(settled);
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#deps.log(`a written file could not be settled: ${String(error)}`))
      .finally(() => this.#behind.delete(tracked));
    this.#behind.add(tracked);
  }

  #restingGone(from: RowKey, inode: Inode): void {
    const resting = new DirtyFile(this.#deps.dir, from, inode);
    this.room.gone(resting);
    resting.remove();
  }
}

const isThrough = ({ writeType }: WrittenFile) => writeType === 'CACHE_THROUGH' || writeType === 'THROUGH';
