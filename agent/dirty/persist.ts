import { setTimeout as sleep } from 'node:timers/promises';
import { isFault, LeatError, toLeatError } from '#shared/model/faults.ts';
import type { Fingerprint, MountId } from '#shared/model/inode.ts';
import { type Path, toText } from '#shared/model/names.ts';
import { SELF } from '#shared/namespace/access.ts';
import type { Found, Namespace, Upload } from '#shared/namespace/namespace.ts';
import type { StoreEntry, UnderStore } from '#shared/ports/under-store.ts';
import { type DirtyFile, isSame, type Stamp } from './dirty-file.ts';
import type { Journal } from './journal.ts';
import { uploadFile } from './upload.ts';

const ATTEMPTS_MAX = 20;

interface Journaled {
  readonly journal: Pick<Journal, 'begin' | 'over'>;
}

interface LocalClock {
  /** So long two writes may show as one. */
  readonly tickMs: number;
}

export interface PersistDeps {
  readonly namespace: Namespace;
  readonly storeOf: (mount: MountId) => UnderStore | undefined;
}

/** `postponed`: who writes it goes on, and its next close brings it there. `gone`: it has been removed. */
export type Persisted = 'stored' | 'postponed' | 'gone' | { readonly conflict: Found };

/** Brings what was written to the store: a content that nobody changed while it was read, and never over one that is not known. */
export async function persist(deps: PersistDeps & Journaled & LocalClock, file: DirtyFile): Promise<Persisted> {
  const { namespace, storeOf, journal, tickMs } = deps;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const found = file.rowOf && (await namespace.find(file.rowOf));
    if (!found) return 'gone';
    if (!found.inode.dirty) return 'stored';
    const stamp = await settledStamp(file, tickMs);
    if (!stamp) return 'gone';
    // The row comes first: it says what the object is going to be.
    if (!isSame(stamp, found.inode)) return 'postponed';
    const upload = await namespace.beginUpload(SELF, found.path, { mode: found.inode.mode });
    if (upload.inode.id !== file.id) continue;
    const store = storeOf(upload.origin.mount);
    if (!store) throw new LeatError('unavailable', `${toText(found.path)}: its store is not mounted any more`);
    try {
      const entry = await send(store, file, { upload, stamp, journal });
      file.object = { size: stamp.size, generation: upload.inode.generation };
      file.isNow(await namespace.finishUpload(SELF, found.path, upload, entry));
      return file.isDirty ? 'postponed' : 'stored';
    } catch (error) {
      // Written again while it was read.
      if (isFault(error, 'contended')) return 'postponed';
      if (!isFault(error, 'exists', 'changed')) throw error;
      // Moved or removed meanwhile, or another content is in its place.
      const now = file.rowOf && (await namespace.find(file.rowOf));
      if (now?.path === found.path && now.inode.fingerprint === found.inode.fingerprint) return { conflict: now };
    }
  }
  throw new LeatError('contended', 'a file was moved again and again while it was uploaded');
}

/** For whom a conflict is a failure. */
export async function demandPersisted(
  deps: PersistDeps & Journaled & LocalClock,
  file: DirtyFile,
  path: Path,
): Promise<void> {
  const persisted = await persist(deps, file).catch((error: unknown) => {
    file.trouble = toLeatError(error).message;
    throw error;
  });
  if (typeof persisted === 'string') return;
  const what = 'has another content in its store than the one that was written upon';
  throw new LeatError('changed', `${toText(path)}: ${what}`);
}

async function settledStamp(file: DirtyFile, tickMs: number): Promise<Stamp | undefined> {
  const stamp = file.stat();
  const age = stamp ? Date.now() - Number(stamp.mtime / 1_000_000n) : 0;
  if (!stamp || file.writers === 0 || age < 0 || age >= tickMs) return stamp;
  await sleep(tickMs);
  return file.stat();
}

interface Sending extends Journaled {
  readonly upload: Upload;
  readonly stamp: Stamp;
}

function send(store: UnderStore, file: DirtyFile, { upload, stamp, journal }: Sending): Promise<StoreEntry> {
  const { mode, uid, gid, mtime, fingerprint } = upload.inode;
  const { mount, key } = upload.origin;
  const job = {
    store,
    key,
    content: { fd: file.fd, size: stamp.size, ...baseOf(file, fingerprint) },
    attributes: { mode, uid, gid, mtime },
    when: fingerprint ?? 'absent',
    isUnchanged: () => isSameAs(file.stat(), stamp),
    begun: (id: string) => journal.begin({ mount, key, upload: id }),
    over: (id: string) => journal.over(id),
  } as const;
  const { stream } = file;
  file.stream = undefined;
  return stream ? stream.finish(job) : uploadFile(job);
}

const isSameAs = (now: Stamp | undefined, then: Stamp) => now !== undefined && isSame(now, then);

function baseOf({ base }: DirtyFile, fingerprint: Fingerprint | undefined) {
  if (!base || fingerprint === undefined) return {};
  return { base: { fingerprint, blocks: base } };
}
