import type { InodeId } from '../model/ids.ts';
import type { Entry, Inode, MountId, Nanos, Origin, SpecialKind } from '../model/inode.ts';
import type { Lock, LockWish } from '../model/locks.ts';
import type { Name, Path } from '../model/names.ts';
import type { StoreEntry } from '../ports/under-store.ts';
import type { QuotaLimits } from '../model/quota.ts';
import type { RowOf } from './intent.ts';
import type { Room } from './quotas.ts';
import type { Quota } from './set-quota.ts';
import type { Written, WrittenFile } from './written.ts';

/** Who asks. Permission checks use it; `checked` says that the kernel has made them already (default_permissions). */
export interface Actor {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly checked?: boolean;
  /** Handed to the metastore's feed with each commit. */
  readonly source?: string;
  /** Of a caller that asks again when an answer gets lost. */
  readonly request?: Request;
}

/** A mutation that may arrive more than once. */
export interface Request {
  /** The same each time. */
  readonly token: string;
  /** It has been sent before, and may have been carried out. */
  readonly isRetry: boolean;
  /** Milliseconds since the epoch, by the clock of who carries it out: nothing is committed later, as the caller may ask again. */
  readonly until?: number;
}

export interface Found {
  readonly path: Path;
  readonly inode: Inode;
  /** Where its bytes (file) or children (directory) lie; absent where no store is mounted. */
  readonly origin?: Origin;
}

export interface Listing {
  readonly entries: readonly Entry[];
  /** Pass it as `after` to go on; absent at the end. */
  readonly next?: Name;
}

export interface NewMode {
  readonly mode: number;
  /** What the mode loses; a default ACL of the directory takes its place. */
  readonly umask?: number;
}

export interface AttributePatch {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atime?: Nanos | 'now';
  readonly mtime?: Nanos | 'now';
}

export interface Mount {
  readonly id: MountId;
  readonly path: Path;
  /** `s3://bucket/prefix`, `file:///folder`, `memory:name` in tests. */
  readonly uri: string;
  readonly readOnly: boolean;
  /** Milliseconds; -1: listed once and never again; 0: every access asks the store. */
  readonly syncIntervalMs: number;
  /** Options of the driver, by property name (`s3.endpoint` …). Secrets are kept out of every answer. */
  readonly options: Readonly<Record<string, string>>;
}

export interface NewSpecial extends NewMode {
  readonly kind: SpecialKind;
  /** Of a device: its number, as st_rdev. */
  readonly device?: number;
}

export type NewMount = Omit<Mount, 'id'>;

export interface RenameOptions extends Expectation {
  /** `exists` if the target is there. */
  readonly noReplace?: boolean;
}

export interface StatOptions {
  readonly follow?: boolean;
  readonly toWrite?: boolean;
}

/** What the caller knew about a place when it asked; another inode there answers `changed`, and the caller looks again. */
export interface Expectation {
  readonly id?: InodeId;
}

/** A whole file on its way to its store, brought there by who has the bytes. */
export interface Upload {
  /** Where the object is to be written: on the condition that it is absent, or still has the fingerprint of `inode`. */
  readonly origin: Origin;
  readonly isNew: boolean;
  /** The file as it is, or as it is going to be. */
  readonly inode: Inode;
  readonly directory: InodeId;
}

/** A mount of an agent, as far as its locks are concerned. */
export interface LockSession {
  readonly agent: string;
  /** Each mount has its own. */
  readonly session: string;
  /** The kernel knows nothing any more of the locks that the agent had before. */
  readonly isNew: boolean;
}

export interface HeldLock {
  readonly file: InodeId;
  readonly lock: Lock;
}

/**
 * The file system, whoever runs it. Paths are absolute. Only `follow` goes through a symlink at the end of a path; symlinks
 * before the end are always followed. Failures are `LeatError`s. All mutations are linearizable, and committed when they answer.
 */
export interface Namespace {
  /** With `toWrite` only what this actor may write. */
  stat(actor: Actor, path: Path, options?: StatOptions): Promise<Found>;
  /** A page, ascending by name; loads the directory from its store on first touch. */
  list(actor: Actor, path: Path, page: { readonly after?: Name; readonly limit: number }): Promise<Listing>;
  /** With `parents` as `mkdir -p`: what is there is no error. */
  mkdir(actor: Actor, path: Path, options: NewMode & { readonly parents?: boolean }): Promise<Inode>;
  /** An empty file; `exists` if the name is taken. With `holder` it begins as that agent's dirty file. */
  create(actor: Actor, path: Path, options: NewMode & { readonly holder?: string }): Promise<Inode>;
  symlink(actor: Actor, path: Path, target: string): Promise<Inode>;
  /** A fifo, socket or device, which is in the namespace only, whatever is mounted. Devices are made by root (`notPermitted`). */
  mknod(actor: Actor, path: Path, options: NewSpecial): Promise<Inode>;
  /**
   * As link(2): one more name for a file, symlink or special file; `notPermitted` for a directory, `crossMount` between stores,
   * `tooManyNames` when it has as many as there can be. In a store it stays one object, at the key of one of its names.
   */
  link(actor: Actor, from: Path, to: Path): Promise<Inode>;
  /** As rename(2): replaces a file or an empty directory, `invalid` below itself, `crossMount` between stores. */
  rename(actor: Actor, from: Path, to: Path, options?: RenameOptions): Promise<Inode>;
  /** unlink(2) or rmdir(2), by `kind`. */
  remove(actor: Actor, path: Path, kind: 'file' | 'directory', expect?: Expectation): Promise<void>;
  /** Detached at once, whatever its size; reclaimed behind. */
  removeTree(actor: Actor, path: Path, expect?: Expectation): Promise<void>;
  setAttributes(actor: Actor, path: Path, patch: AttributePatch, expect?: Expectation): Promise<Inode>;
  setXattr(actor: Actor, path: Path, name: string, value: string, mode: 'set' | 'create' | 'replace'): Promise<Inode>;
  removeXattr(actor: Actor, path: Path, name: string): Promise<Inode>;
  /** Uploads a whole file to its store (replacing an old one) and shows it once it is there. `readOnly` where no store is mounted. */
  write(
    actor: Actor,
    path: Path,
    body: AsyncIterable<Uint8Array>,
    options: { readonly mode: number; readonly size?: number },
  ): Promise<Inode>;
  /** As `write`, for who uploads the bytes by himself: the first half. */
  beginUpload(actor: Actor, path: Path, options: { readonly mode: number; readonly size?: number }): Promise<Upload>;
  /** The second half, with what the store answered. `changed`: the file was moved or removed meanwhile. */
  finishUpload(actor: Actor, path: Path, upload: Upload, entry: StoreEntry): Promise<Inode>;
  /** The file at a key, wherever its directory is now; undefined when it is not there. */
  find(at: RowOf): Promise<WrittenFile | undefined>;
  /** An agent has other bytes for a file than its store: from now on it is dirty. Undefined when it has been removed. */
  written(actor: Actor, at: RowOf, content: Written): Promise<WrittenFile | undefined>;
  /** It gives them up, because the store has got another content meanwhile. */
  abandon(actor: Actor, at: RowOf): Promise<Found | undefined>;
  /** The object turned out to be another version, or gone, while it was read: brings the row in step and answers what is there now. */
  refresh(path: Path, known: Inode): Promise<Found>;
  /** Brings a directory in step with its store now; with `recursive` all below. Answers how many rows changed. */
  sync(actor: Actor, path: Path, options?: { readonly recursive?: boolean }): Promise<number>;
  mount(actor: Actor, mount: NewMount): Promise<Mount>;
  unmount(actor: Actor, path: Path): Promise<void>;
  mounts(): Promise<readonly Mount[]>;
  /**
   * Takes or changes a lock on a file, or gives it back: what is in the way, or undefined when it is done. Nobody waits here.
   * `isTest` only looks. `changed`: the session is over, or its agent is not registered. `noLocks`: the file has too many.
   */
  lock(actor: Actor, file: InodeId, wish: LockWish, options?: { readonly isTest?: boolean }): Promise<Lock | undefined>;
  /** Before the first lock of a mount; answers what a mount that goes on holds. `changed`: another has begun since. */
  beginLocks(actor: Actor, session: LockSession): Promise<readonly HeldLock[]>;
  /** Limits what may lie below a directory, in place of what limits it had. Answers when that has been counted. */
  setQuota(actor: Actor, path: Path, limits: QuotaLimits): Promise<Quota>;
  /** `invalid`: the directory has none of its own. */
  removeQuota(actor: Actor, path: Path): Promise<void>;
  /** Those of a directory and of all below it, ascending by path. */
  quotas(actor: Actor, path: Path): Promise<readonly Quota[]>;
  /** What the quotas of a path and of all above it leave. */
  room(actor: Actor, path: Path): Promise<Room>;
  /** What the stores are still owed (uploads, removals, moves), and what could not be done. */
  owed(): Promise<{
    readonly pending: number;
    readonly failed: readonly { readonly what: string; readonly reason: string }[];
  }>;
}
