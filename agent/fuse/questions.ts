import type { InodeId } from '#shared/model/ids.ts';
import type { Lock } from '#shared/model/locks.ts';
import type { Name, Path } from '#shared/model/names.ts';
import type { Capacity } from '../capacity.ts';
import type { CacheKey } from '../cache/data-cache.ts';
import type { BytesRange } from '../dirty/base-blocks.ts';
import type { Settled } from '../dirty/dirty-file.ts';
import type { LockQuestion } from './mount-locks.ts';
import type { Progress } from '../dirty/progress.ts';
import type { ChangedRow, Notice } from './invalidation.ts';
import type { NodeKind } from './node-kinds.ts';

/** Who asks, as the kernel says. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
}

/** What the worker cannot answer by itself. Rows travel as `encodeRow` wrote them. */
export type Question =
  | { readonly ask: 'stat'; readonly path: Path }
  | { readonly ask: 'list'; readonly path: Path; readonly after: Name | undefined; readonly limit: number }
  | { readonly ask: 'mkdir'; readonly path: Path; readonly mode: number; readonly umask: number }
  | {
      readonly ask: 'mknod';
      readonly path: Path;
      readonly mode: number;
      readonly umask: number;
      readonly kind: NodeKind;
      readonly device: number;
    }
  | { readonly ask: 'link'; readonly path: Path; readonly to: Path }
  | { readonly ask: 'symlink'; readonly path: Path; readonly target: string }
  /** `going`: the inode that loses this name, where that is known. */
  | {
      readonly ask: 'remove';
      readonly path: Path;
      readonly kind: 'file' | 'directory';
      readonly going: InodeId | undefined;
    }
  | {
      readonly ask: 'rename';
      readonly path: Path;
      readonly to: Path;
      readonly noReplace: boolean;
      readonly going: InodeId | undefined;
    }
  | { readonly ask: 'setAttributes'; readonly path: Path; readonly id: InodeId; readonly patch: WirePatch }
  | {
      readonly ask: 'setXattr';
      readonly path: Path;
      readonly name: string;
      readonly value: string;
      readonly mode: 'set' | 'create' | 'replace';
      /** The kernel knows that the caller is not in the file's group. */
      readonly losesSetgid: boolean;
    }
  | { readonly ask: 'removeXattr'; readonly path: Path; readonly name: string }
  | { readonly ask: 'open'; readonly path: Path; readonly key: CacheKey; readonly isSmall: boolean }
  | { readonly ask: 'read'; readonly handle: number; readonly offset: number; readonly size: number }
  | {
      readonly ask: 'create';
      readonly path: Path;
      readonly directory: InodeId;
      readonly name: Name;
      readonly mode: number;
      readonly umask: number;
    }
  /** Opens a file for writing, until it is released. */
  | {
      readonly ask: 'write';
      readonly path: Path;
      readonly directory: InodeId;
      readonly name: Name;
      readonly id: InodeId;
      readonly isTruncated: boolean;
    }
  /** What closing a written file means, and fsync. */
  | { readonly ask: 'flush' | 'sync'; readonly id: InodeId }
  /** A written file that its store has is written upon its object from now on, and nothing of it is here. */
  | { readonly ask: 'rebase'; readonly id: InodeId }
  /** Brings blocks of a written file from the content that it is written upon. */
  | { readonly ask: 'fill'; readonly id: InodeId; readonly ranges: readonly BytesRange[] }
  /** Reads a written file of which some blocks are base. */
  | { readonly ask: 'readWritten'; readonly id: InodeId; readonly offset: number; readonly size: number }
  /** Waits for room to write so many bytes. */
  | { readonly ask: 'room'; readonly bytes: number }
  | { readonly ask: 'syncRows' }
  | { readonly ask: 'lock'; readonly lock: LockQuestion }
  | { readonly ask: 'statfs'; readonly path: Path };

/** Of the stores, in milliseconds. */
export interface SyncIntervals {
  /** By mount id. */
  readonly byMount: Readonly<Record<string, number>>;
  /** Of the one at `/`, if there is one. */
  readonly root: number | undefined;
}

export interface WirePatch {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atime?: bigint | 'now';
  readonly mtime?: bigint | 'now';
}

/** Of a file that is open for writing. */
export interface WrittenHere {
  /** The blocks that are not here. */
  readonly base: SharedArrayBuffer | undefined;
  /** So large it may become, because of a quota. */
  readonly sizeMax: number | undefined;
}

export type Answer =
  | ({ readonly row: Uint8Array } & Partial<WrittenHere>)
  | WrittenHere
  | { readonly entries: readonly { readonly name: Name; readonly row: Uint8Array }[] }
  /** `handle` undefined: the whole file is in the cache now. */
  | { readonly handle: number | undefined }
  /** What is in the way of a lock. */
  | { readonly inTheWay: Lock | undefined }
  | Capacity
  /** Of a flush, if all of the file is in its store now. */
  | { readonly stored: Settled | undefined }
  /** The blocks of the new base; undefined: it stays as it is. */
  | { readonly rebased: SharedArrayBuffer | undefined }
  /** The main thread has replied to the kernel by itself. */
  | { readonly done: true };

/** Worker to main. Without `id` no answer is waited for. */
export type ToMain =
  | {
      readonly id: number;
      readonly unique: readonly [number, number];
      readonly caller: Caller;
      readonly question: Question;
    }
  | { readonly interrupt: number }
  | { readonly close: number }
  | { readonly written: InodeId; readonly progress: Progress }
  /** A file has one writer less. */
  | { readonly release: InodeId }
  | { readonly unlock: LockQuestion }
  | { readonly touched: readonly CacheKey[] }
  | { readonly notices: readonly Notice[] }
  | { readonly log: string };

/** Main to worker. */
export type ToWorker =
  | { readonly id: number; readonly answer: Answer }
  | { readonly id: number; readonly errno: number }
  | { readonly mounts: SyncIntervals }
  /** What the mount has locked, of a mount that goes on. */
  | { readonly held: readonly { readonly file: InodeId; readonly owner: string }[] }
  /** By others, in one commit. What the kernel is to be told of it comes back as `notices`. */
  | { readonly changed: readonly ChangedRow[] }
  | { readonly evicted: CacheKey }
  | { readonly settled: Settled };
