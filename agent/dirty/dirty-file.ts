import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { promisify } from 'node:util';
import type { InodeId } from '#shared/model/ids.ts';
import type { Inode, Nanos } from '#shared/model/inode.ts';
import type { RowOf } from '#shared/namespace/intent.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import { dirtyPath, mapPath } from './dirty-paths.ts';
import { setTimes } from './local-calls.ts';
import { BaseBlocks } from './base-blocks.ts';
import type { UploadStream } from './stream.ts';

const PRIVATE = 0o600;
const synced = promisify(fdatasync);

/** Size and time of a content: when both are equal, so is what they are of. */
export interface Stamp {
  readonly size: number;
  readonly mtime: Nanos;
}

/** Nobody writes the file any more, and its row says all that there is to say. `generation` undefined: it was removed. */
export interface Settled {
  readonly id: InodeId;
  readonly generation: number | undefined;
  readonly stamp: Stamp;
}

type Known = Pick<Inode, 'id' | 'size' | 'mtime' | 'generation' | 'dirty'>;

/** One file that is written here: where its bytes lie, and what its row says of them. */
export class DirtyFile {
  readonly #dir: string;
  id: InodeId;
  /** Where its row is; undefined once it has been removed. */
  at: RowKey | undefined;
  /** When that was, milliseconds since the epoch. */
  goneAt = 0;
  /** What its row says: of this generation, and no more than that. */
  row: Stamp & { readonly generation: number };
  /** The row says that it is dirty. */
  isDirty: boolean;
  /** Why it could not be stored when that was last tried. */
  trouble: string | undefined;
  /** Who has it open for writing. */
  writers = 0;
  /** It has been written, whatever its times say: they were set since. */
  #isModified = false;
  /** What its store has of it, which is not read by another size; undefined: what a process before has written down of its base. */
  object: Pick<Inode, 'size' | 'generation'> | undefined;
  /** Undefined: all of it is here. */
  base: BaseBlocks | undefined;
  /** So far its writer has told that it is written. */
  toldTo = 0;
  /** Its object may go, so what is here of it is not given up. */
  staysHere = false;
  /** Sends it to its store while it is written. */
  stream: UploadStream | undefined;
  #fd: number | undefined;
  #users = 0;
  #closesLater = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(dir: string, at: RowKey, inode: Known) {
    this.#dir = dir;
    this.id = inode.id;
    this.at = at;
    this.row = inode;
    this.isDirty = inode.dirty !== undefined;
    if (!this.isDirty) this.object = inode;
  }

  get path(): string {
    return dirtyPath(this.#dir, this.id);
  }

  get mapPath(): string {
    return mapPath(this.#dir, this.id);
  }

  /** Opened when it is first needed, and closed with the file. */
  get fd(): number {
    return (this.#fd ??= openSync(this.path, constants.O_RDWR | constants.O_CREAT, PRIVATE));
  }

  get rowOf(): RowOf | undefined {
    return this.at && { ...this.at, id: this.id };
  }

  /** Undefined: nothing of it is here. */
  stat(): Stamp | undefined {
    const stat =
      this.#fd === undefined
        ? statSync(this.path, { bigint: true, throwIfNoEntry: false })
        : fstatSync(this.#fd, { bigint: true });
    return stat && { size: Number(stat.size), mtime: stat.mtimeNs };
  }

  /** That it takes on the disk, of 512 bytes. */
  get blocks(): number {
    return statSync(this.path, { throwIfNoEntry: false })?.blocks ?? 0;
  }

  /** Its bytes are on the disk. */
  sync(): Promise<void> {
    return synced(this.fd);
  }

  /** It has been written since its row was. */
  get isChanged(): boolean {
    const now = this.stat();
    return now !== undefined && (this.#isModified || !isSame(now, this.row));
  }

  /** It has a row that says all there is to say, and its store has all of it. */
  get isStored(): boolean {
    return this.at !== undefined && !this.isDirty && !this.isChanged;
  }

  /** What there will be to say of it if it stays as it is. */
  get settled(): Settled {
    return { id: this.id, generation: this.row.generation, stamp: this.row };
  }

  /** Its row says now what was here then. */
  isNow(inode: Inode): void {
    this.row = inode;
    this.isDirty = inode.dirty !== undefined;
    this.#isModified = false;
  }

  /** Somebody sets its times, by its row; `act` answers the row. The bytes that were written before count as written. */
  async settingTimes(act: () => Promise<Inode>): Promise<Inode> {
    const before = this.stat();
    const inode = await act();
    const now = this.stat();
    if (!before || !now) return inode;
    this.#isModified ||= !isSame(before, this.row) || !isSame(before, now);
    setTimes(this.fd, { mtime: inode.mtime });
    this.row = { ...this.row, mtime: inode.mtime };
    return inode;
  }

  /** Bytes come that are its own already: its time stays. What is written meanwhile counts as written. */
  async filling(act: () => Promise<void>): Promise<void> {
    const before = this.stat();
    await act();
    const now = this.stat();
    if (!before || !now || isSame(before, now)) return;
    this.#isModified = true;
    setTimes(this.fd, { mtime: before.mtime });
  }

  /** Until `act` has come to its end, the local file stays the one that it is. */
  async using<Result>(act: (fd: number, base: BaseBlocks | undefined) => Promise<Result>): Promise<Result> {
    this.#users++;
    try {
      return await act(this.fd, this.base);
    } finally {
      if (--this.#users === 0 && this.#closesLater) this.close();
    }
  }

  /** Gives up what is here, if its store has all of it: it is written upon its object from now on, in another local file. */
  rebase(): boolean {
    if (this.#users > 0 || this.staysHere || this.stream || !this.isStored) return false;
    const { size, generation, mtime } = this.row;
    const empty = `${this.path}.new`;
    const fd = openSync(empty, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC, PRIVATE);
    try {
      ftruncateSync(fd, size);
      setTimes(fd, { mtime });
      const base = BaseBlocks.of(this.mapPath, { size, generation, isHere: false });
      // By this map nothing is here, whichever of the two files a process after this one finds beside it.
      renameSync(empty, this.path);
      this.close();
      this.base = base;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#fd = fd;
    return true;
  }

  /** It goes on as another inode. */
  become(at: RowKey, inode: Inode): void {
    const before = this.path;
    this.id = inode.id;
    renameSync(before, this.path);
    this.base = this.base?.moveTo(this.mapPath);
    this.at = at;
    this.isNow(inode);
  }

  /** One after the other, whatever has become of the one before. */
  inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(act, act);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  close(): void {
    this.base?.close();
    this.#closesLater = this.#users > 0;
    if (this.#closesLater || this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** Who has it open goes on. */
  remove(): void {
    this.close();
    for (const path of [this.path, this.mapPath]) rmSync(path, { force: true });
    this.base = undefined;
  }
}

export const isSame = (a: Stamp, b: Stamp): boolean => a.size === b.size && a.mtime === b.mtime;
