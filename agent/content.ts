import { setTimeout as sleep } from 'node:timers/promises';
import type { Content, LoadFailure, LoadProgress } from '#functions/api/deps.ts';
import { LeatError, toLeatError } from '#shared/model/faults.ts';
import { type Path, toText } from '#shared/model/names.ts';
import type { Actor, Found, Namespace } from '#shared/namespace/namespace.ts';
import type { CachedFile, DataCache, Fetch } from './cache/data-cache.ts';
import type { DirtyFiles } from './dirty/dirty-files.ts';
import { filesBelow } from './files-below.ts';

const PIECE_BYTES = 1 << 20;
const LOADS_AT_ONCE = 16;
const PROGRESS_MS = 250;
/** So many files that fail are a store that is down: stop, rather than ask it for each of the others. */
const FAILURES_MAX = 1000;

export interface ContentDeps {
  readonly namespace: Namespace;
  readonly cache: DataCache;
  readonly dirty: DirtyFiles;
  fetchFor(found: Found): Fetch;
}

/** The bytes of files through this node's cache. */
export function cachedContent(deps: ContentDeps): Content {
  const { namespace, cache, dirty } = deps;
  return {
    async *read(found, range, signal) {
      const file = openFile(deps, found);
      try {
        for (let at = range.offset, end = range.offset + range.length; at < end;) {
          const piece = new Uint8Array(Math.min(PIECE_BYTES, end - at));
          const length = await file.read(piece, at, signal);
          if (length === 0) throw new LeatError('changed', `${toText(found.path)} ended early; read it again`);
          yield piece.subarray(0, length);
          at += length;
        }
      } finally {
        file.close();
      }
    },
    load: (actor, path, signal) => load(deps, { actor, path, signal }),
    async free(actor, path) {
      const freed = { files: 0, bytes: 0 };
      for await (const { inode } of filesBelow(namespace, actor, path)) {
        const bytes = cache.cachedBytes(inode);
        if (bytes === 0) continue;
        cache.drop(inode);
        freed.files++;
        freed.bytes += bytes;
      }
      return freed;
    },
    cachedBytes: (inode) => cache.cachedBytes(inode),
    written: () => dirty.report(),
    retryWritten: () => dirty.retry(),
  };
}

function openFile({ cache, dirty, fetchFor }: ContentDeps, found: Found): CachedFile {
  const { id, generation, size } = found.inode;
  const written = dirty.readerOf(found);
  if (written) return written;
  return cache.open({ id, generation }, size, fetchFor(found));
}

interface Load {
  readonly actor: Actor;
  readonly path: Path;
  readonly signal: AbortSignal;
}

/** Loads in lanes behind, and reports in between; who stops listening stops the loading. */
async function* load(deps: ContentDeps, { actor, path, signal }: Load): AsyncGenerator<LoadProgress | LoadFailure> {
  const stopped = new AbortController();
  const progress = { filesFound: 0, filesLoaded: 0, bytesFound: 0, bytesLoaded: 0, filesFailed: 0 };
  const failures: LoadFailure[] = [];
  const files = filesBelow(deps.namespace, actor, path);
  const either = AbortSignal.any([signal, stopped.signal]);
  const lane = async () => {
    for await (const found of files) {
      either.throwIfAborted();
      progress.filesFound++;
      progress.bytesFound += found.inode.size;
      const failure = await loadOne(deps, found, either);
      if (failure) failures.push(failure);
      if (failure && ++progress.filesFailed >= FAILURES_MAX) {
        throw new LeatError('unavailable', `${FAILURES_MAX} files failed, the last: ${failure.message}`);
      }
      if (failure) continue;
      progress.filesLoaded++;
      progress.bytesLoaded += found.inode.size;
    }
  };
  const all = Promise.all(Array.from({ length: LOADS_AT_ONCE }, lane)).then(() => true);
  try {
    for (let over = false; !over;) {
      over = await Promise.race([all, sleep(PROGRESS_MS, false)]);
      yield* failures.splice(0);
      yield { ...progress };
    }
  } finally {
    stopped.abort();
    await all.catch(() => {
      // Thrown already, or nobody listens any more.
    });
  }
}

async function loadOne(deps: ContentDeps, found: Found, signal: AbortSignal): Promise<LoadFailure | undefined> {
  const file = openFile(deps, found);
  try {
    if (await file.load(signal)) return undefined;
    const next = 'make cache.size larger, or free something';
    return { path: found.path, kind: 'noSpace', message: `the cache has no room for it: ${next}` };
  } catch (error) {
    signal.throwIfAborted();
    const { kind, message } = toLeatError(error);
    return { path: found.path, kind, message };
  } finally {
    file.close();
  }
}
