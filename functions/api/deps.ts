import type { MiddlewareHandler } from 'hono';
import type { NamespaceEvents } from '#shared/feed/events.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Path } from '#shared/model/names.ts';
import type { Actor, Found, Namespace } from '#shared/namespace/namespace.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import type { Clock } from '#shared/ports/clock.ts';
import type { ByteRange } from '#shared/ports/under-store.ts';
import type { AgentInfo } from './agent.ts';
import type { Registry } from './agents.ts';
import type { Authenticate } from './guard.ts';
import type { Recorded } from './namespace.ts';

/** How far a load has come. Counted in files that are wholly cached, and their bytes. */
export interface LoadProgress {
  readonly filesFound: number;
  readonly filesLoaded: number;
  readonly bytesFound: number;
  readonly bytesLoaded: number;
  readonly filesFailed: number;
}

export interface LoadFailure {
  readonly path: Path;
  readonly kind: string;
  readonly message: string;
}

/** The bytes of files, by way of the cache of whoever serves the API. */
export interface Content {
  /** The range of this very version, as it arrives; opened with the first piece, released with the last or with `return()`. */
  read(found: Found, range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Caches a file, or every file below a directory; a file that fails does not stop the others. */
  load(actor: Actor, path: Path, signal: AbortSignal): AsyncIterable<LoadProgress | LoadFailure>;
  /** Drops what is cached of a file, or of every file below a directory. */
  free(actor: Actor, path: Path): Promise<{ readonly files: number; readonly bytes: number }>;
  cachedBytes(inode: Inode): number;
  /** Written files that are not where they are to be: in their store, or settled where they have none. */
  written(): Promise<readonly WrittenFileInfo[]>;
  /** Tries again what could not be stored. */
  retryWritten(): void;
}

export interface WrittenFileInfo {
  /** Absent: no entry leads to it any more. */
  readonly path?: Path;
  readonly bytes: number;
  /** `open`: somebody writes it. `waiting`: for its store. `lost`: its entry is gone, its bytes are in `local`. */
  readonly state: 'open' | 'waiting' | 'lost';
  /** Why it could not be stored, the last time. */
  readonly reason?: string;
  /** Where its bytes are on the machine of the agent. */
  readonly local: string;
}

export interface ApiDeps {
  readonly namespace: Namespace;
  readonly content: Content;
  readonly events: NamespaceEvents;
  readonly authenticate: Authenticate;
  /** What a binding measures of every request, and does after it. */
  readonly around?: MiddlewareHandler;
  /** Where others keep copies of rows, they are told which have changed. */
  readonly recorded?: Recorded;
  /** Where others can join: the rows themselves, for those that cannot read them on their own. */
  readonly rows?: Pick<Metastore, 'get' | 'list'>;
  /** And who they are. */
  readonly agents?: Registry;
  /** That of the namespace; `Date.now` unless given. */
  readonly clock?: Clock;
  /** For failures that no fault kind stands for. */
  log(line: string): void;
  info(): Promise<AgentInfo>;
  /** Begins to stop the agent; answers at once. */
  stop(): void;
  /** Begins to make room for an agent from the program on the disk. */
  upgrade(): Promise<{ readonly from: string; readonly to: string }>;
}
