import type { Fingerprint, StoredKind, Nanos, StoreKey } from '../model/inode.ts';

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** What a store may keep beside the bytes. Absent: the store does not know. */
export interface StoreAttributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: Nanos;
}

export interface StoreEntry extends StoreAttributes {
  /** Relative to the mount, as every key. */
  readonly key: StoreKey;
  readonly kind: StoredKind;
  readonly size: number;
  /** Of a directory: absent where directories are only prefixes. */
  readonly fingerprint?: Fingerprint;
  /** Of a symlink; a byte string. */
  readonly target?: string;
}

export interface StorePage {
  /**
   * The direct children of the directory, in *key order*: by the bytes of `key` for files, of `key + '/'` for directories.
   * A key that is both an object and a prefix yields two entries, the file first.
   */
  readonly entries: readonly StoreEntry[];
  /** Keys below the directory that no POSIX name can stand for (an empty name, `.`, `..`, over 255 bytes). */
  readonly unnameable: number;
  /** Pass it to get the next page; absent on the last. */
  readonly cursor?: string;
}

export interface ReadOptions {
  /** Throws `changed` when the object no longer is this version: a reader never mixes two. */
  readonly fingerprint?: Fingerprint;
  readonly signal?: AbortSignal;
}

/** Gets the next piece of the range; `bytes` is only valid during the call. May throw to stop the read. */
export type Sink = (bytes: Uint8Array) => void;

export interface WriteOptions {
  readonly attributes?: StoreAttributes;
  /** Bytes to come, when known. */
  readonly size?: number;
  /** `absent`: throws `exists` if the key is taken. A fingerprint: throws `changed` if the object is another version. */
  readonly when?: 'absent' | Fingerprint;
  readonly signal?: AbortSignal;
}

/** Bytes of a part that are not held in memory: each try to send them asks for them anew. */
export interface PartSource {
  readonly length: number;
  /** Exactly `length` bytes. A piece is used until the next is asked for. What it throws stops the part, and is thrown as it is. */
  pieces(): AsyncIterable<Uint8Array>;
}

export type PartBody = Uint8Array | PartSource;

export interface UploadOptions {
  /** S3 takes them when the upload begins and never again. */
  readonly attributes?: StoreAttributes;
  /** The version of the object from which parts are copied. */
  readonly base?: Fingerprint;
  /** Stops the upload and all that is under way of it. */
  readonly signal?: AbortSignal;
}

export interface FinishOptions {
  readonly size: number;
  /** As of a write. */
  readonly when?: 'absent' | Fingerprint;
  /** In place of those of the beginning, where a store can still take them; the answer tells what it keeps. */
  readonly attributes?: StoreAttributes;
}

/**
 * An object that is made in parts, which lie where `object-parts.ts` says and may be laid in any order and all at once, but no
 * part by two calls at once. A part that is laid again replaces the former. Until `finish` nobody sees anything of it.
 */
export interface ObjectUpload {
  /** Tells `abandonUpload` which it is, when the process has died. */
  readonly id: string;
  put(part: number, body: PartBody): Promise<void>;
  /** Lays the same range of `base`, which the store copies by itself. Throws `changed` if the object is another version now. */
  copy(part: number, length: number): Promise<void>;
  /**
   * Shows the object whole, in one step, under its condition: throws `exists` or `changed` when that does not hold, and `contended`
   * when the store has forgotten the upload, or wants it to begin anew. Then, and when it throws anything else, `abort` is still to be
   * called. All parts within `size` have been laid, the last one as long as it is there; those beyond are dropped.
   */
  finish(options: FinishOptions): Promise<StoreEntry>;
  /** Leaves nothing behind. Calls of `put` and `copy` have answered. Does nothing after `finish`, or a second time. */
  abort(): Promise<void>;
}

export const STORE_PAGE_ENTRIES = 1000;

/**
 * The storage that a mount shows. Every method is idempotent, so a caller may retry any of them; drivers retry what their
 * protocol calls transient (bounded, with backoff and jitter) before they throw `unavailable`.
 * Absence is a value (`undefined`) in `stat`; `read`, `copy` and `setAttributes` of what is not there throw `notFound`.
 * A store that cannot be reached or refuses to answer throws `unavailable`, never `notFound`; refused credentials throw `denied`.
 */
export interface UnderStore {
  readonly supports: {
    /** Directories exist by themselves; else they are prefixes, and `makeDirectory` leaves a marker object. */
    readonly directories: boolean;
    /** `move` renames a file or a whole directory in one atomic step. */
    readonly move: boolean;
  };
  /** For people: `s3://bucket/prefix`, `file:///folder`. Never holds a secret. */
  readonly uri: string;
  stat(key: StoreKey): Promise<StoreEntry | undefined>;
  /** One page, one request where the protocol allows, never one per file over a network. Absent directories are empty. */
  list(directory: StoreKey, cursor?: string): Promise<StorePage>;
  /** Hands over exactly the part of the range that lies within the object, in order. */
  read(key: StoreKey, range: ByteRange, sink: Sink, options?: ReadOptions): Promise<void>;
  /** The object is there whole or not at all. Parent directories are made. */
  write(key: StoreKey, body: AsyncIterable<Uint8Array>, options?: WriteOptions): Promise<StoreEntry>;
  /** For what is large, or not known to its end yet. An upload that is neither finished nor aborted costs room in the store. */
  upload(key: StoreKey, options?: UploadOptions): Promise<ObjectUpload>;
  /** Aborts an upload that a process left behind when it died. One that is not there has ended before. */
  abandonUpload(key: StoreKey, id: string): Promise<void>;
  makeDirectory(key: StoreKey, attributes?: StoreAttributes): Promise<void>;
  makeSymlink(key: StoreKey, target: string, attributes?: StoreAttributes): Promise<StoreEntry>;
  /** Returns the entry as it is afterwards: on S3 the fingerprint may differ though the bytes do not. */
  setAttributes(key: StoreKey, attributes: StoreAttributes): Promise<StoreEntry>;
  /** One object; replaces `to`. */
  copy(from: StoreKey, to: StoreKey): Promise<StoreEntry>;
  /** Only where `supports.move`; replaces `to`. Without `from` but with `to` it has been done before, and answers so. */
  move(from: StoreKey, to: StoreKey): Promise<void>;
  /** A file or symlink, or an empty directory. What is not there is removed already. */
  remove(key: StoreKey, kind: StoredKind): Promise<void>;
  /** Bytes for `df`; undefined where the store has no limit. */
  capacity(): Promise<{ readonly total: number; readonly free: number } | undefined>;
  close(): Promise<void>;
}
