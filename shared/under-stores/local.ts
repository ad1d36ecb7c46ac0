import { constants, type BigIntStats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { isFault, LeatError } from '../model/faults.ts';
import type { Fingerprint, InodeKind, StoreKey } from '../model/inode.ts';
import { toText } from '../model/names.ts';
import type { StoreAttributes, StoreEntry, StorePage, UnderStore } from '../ports/under-store.ts';
import { STORE_PAGE_ENTRIES } from '../ports/under-store.ts';

/** Names that begin so are uploads under way; listings leave them out. */
const TEMPORARY_PREFIX = '.leat-upload-';
const STATS_IN_FLIGHT = 16;
const READ_BYTES = 256 * 1024;
const LISTINGS_KEPT = 16;

interface Names {
  readonly name: string;
  readonly isDirectory: boolean;
}

/**
 * A folder, or the mount point of a NAS. Nothing outside of it is ever touched: a symlink is shown as one and never gone
 * through. When the folder itself is missing (a NAS that is not mounted) everything is `unavailable`, never empty.
 */
export function localUnderStore({ root }: { readonly root: string }): UnderStore {
  const base = Buffer.from(root.replace(/\/+$/, '') || '/').toString('latin1');
  const uri = `file://${root}`;
  const listings = new Map<StoreKey, readonly Names[]>();
  let uploads = 0;

  const pathOf = (key: StoreKey): Buffer => Buffer.from(key === '' ? base : `${base}/${key}`, 'latin1');
  const fault = (error: unknown, what: string, key: StoreKey) => faultOf(error, `${uri}/${toText(key)}: ${what}`);

  async function demandRoot(): Promise<void> {
    const stat = await fs.stat(pathOf('' as StoreKey)).catch(() => undefined);
    if (!stat?.isDirectory())
      throw new LeatError('unavailable', `${uri}: the folder is not there; is its disk or NAS mounted?`);
  }

  /** Every directory on the way is a real one: a symlink would lead out of the folder. */
  async function demandInside(key: StoreKey): Promise<void> {
    const names = key.split('/').slice(0, -1);
    for (let i = 1; i <= names.length; i++) {
      const stat = await fs.lstat(pathOf(names.slice(0, i).join('/') as StoreKey));
      if (!stat.isDirectory())
        throw new LeatError('notDirectory', `${uri}/${toText(key)}: ${toText(names[i - 1] ?? '')} is not a directory`);
    }
  }

  async function entryAt(key: StoreKey): Promise<StoreEntry | undefined> {
    try {
      const stat = await fs.lstat(pathOf(key), { bigint: true });
      const kind = kindOf(stat);
      if (!kind) return undefined;
      const target = kind === 'symlink' ? await fs.readlink(pathOf(key), 'latin1') : undefined;
      return entryOf(key, kind, stat, target);
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw fault(error, 'cannot be looked at', key);
    }
  }

  async function mustEntry(key: StoreKey): Promise<StoreEntry> {
    const entry = await entryAt(key);
    if (entry) return entry;
    throw new LeatError('notFound', `${uri}/${toText(key)}: no such file`);
  }

  /** The names are kept while their pages are walked: a directory of a million is read and sorted once. */
  async function namesIn(directory: StoreKey, cursor: string | undefined): Promise<readonly Names[]> {
    const kept = cursor === undefined ? undefined : listings.get(directory);
    if (kept) return kept;
    const found: Names[] = [];
    for (const entry of await fs.readdir(pathOf(directory), { withFileTypes: true, encoding: 'buffer' })) {
      const name = entry.name.toString('latin1');
      const isShown = entry.isFile() || entry.isDirectory() || entry.isSymbolicLink();
      if (isShown && !name.startsWith(TEMPORARY_PREFIX)) found.push({ name, isDirectory: entry.isDirectory() });
    }
    const order = ({ name, isDirectory }: Names) => (isDirectory ? `${name}/` : name);
    return found.toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  async function attempt<Result>(what: string, key: StoreKey, act: () => Promise<Result>): Promise<Result> {
    await demandRoot();
    try {
      await demandInside(key);
      return await act();
    } catch (error) {
      throw fault(error, what, key);
    }
  }

  return {
    supports: { directories: true, move: true },
    uri,
    async stat(key) {
      await demandRoot();
      try {
        await demandInside(key);
      } catch (error) {
        if (isAbsence(error) || isFault(error, 'notDirectory')) return undefined;
        throw fault(error, 'cannot be looked at', key);
      }
      return entryAt(key);
    },
    async list(directory, cursor): Promise<StorePage> {
      await demandRoot();
      try {
        const names = await namesIn(directory, cursor);
        const start = Number(cursor ?? 0);
        const end = start + STORE_PAGE_ENTRIES;
        const keys = names
          .slice(start, end)
          .map(({ name }) => (directory === '' ? name : `${directory}/${name}`) as StoreKey);
        const entries = await inFlight(keys, entryAt);
        listings.delete(directory);
        if (end < names.length) {
          listings.set(directory, names);
          for (const old of listings.keys()) if (listings.size > LISTINGS_KEPT) listings.delete(old);
        }
        const cursors = end < names.length ? { cursor: String(end) } : {};
        return { entries: entries.filter((entry) => entry !== undefined), unnameable: 0, ...cursors };
      } catch (error) {
        if (isAbsence(error)) return { entries: [], unnameable: 0 };
        throw fault(error, 'cannot be listed', directory);
      }
    },
    read: (key, { offset, length }, sink, { fingerprint, signal } = {}) =>
      attempt('cannot be read', key, async () => {
        const file = await fs.open(pathOf(key), constants.O_RDONLY | constants.O_NOFOLLOW);
        try {
          const demandVersion = async () => {
            const stat = await file.stat({ bigint: true });
            if (fingerprint !== undefined && fingerprintOf(stat) !== fingerprint) {
              throw new LeatError('changed', `${uri}/${toText(key)}: was changed in its folder`);
            }
          };
          await demandVersion();
          const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, Math.max(1, length)));
          for (let at = offset; at < offset + length;) {
            signal?.throwIfAborted();
            const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, offset + length - at), at);
            if (bytesRead === 0) break;
            sink(buffer.subarray(0, bytesRead));
            at += bytesRead;
          }
          await demandVersion();
        } finally {
          await file.close();
        }
      }),
    write: async (key, body, { attributes, when, signal } = {}) => {
      await demandRoot();
      const directory = key.slice(0, Math.max(0, key.lastIndexOf('/'))) as StoreKey;
      const temporary = pathOf(
        `${directory === '' ? '' : `${directory}/`}${TEMPORARY_PREFIX}${process.pid}-${++uploads}` as StoreKey,
      );
      try {
        if (directory !== '') await fs.mkdir(pathOf(directory), { recursive: true });
        await demandInside(key);
        await writeWhole(temporary, body, attributes, signal);
        const there = await entryAt(key);
        if (when === 'absent') await fs.link(temporary, pathOf(key));
        else if (when !== undefined && there?.fingerprint !== when) {
          throw new LeatError('changed', `${uri}/${toText(key)}: was changed in its folder`);
        } else await fs.rename(temporary, pathOf(key));
      } catch (error) {
        throw fault(error, 'cannot be written', key);
      } finally {
        await fs.unlink(temporary).catch(() => undefined);
      }
      return mustEntry(key);
    },
    makeDirectory: (key, attributes) =>
      attempt('cannot be made', key, async () => {
        await fs.mkdir(pathOf(key), { recursive: true });
        if (attributes) await apply(pathOf(key), attributes);
      }),
    makeSymlink: (key, target, attributes) =>
      attempt('cannot be made', key, async () => {
        await fs.unlink(pathOf(key)).catch(() => undefined);
        await fs.symlink(Buffer.from(target, 'latin1'), pathOf(key));
        if (attributes?.uid !== undefined && attributes.gid !== undefined)
          await fs.lchown(pathOf(key), attributes.uid, attributes.gid);
        return mustEntry(key);
      }),
    setAttributes: (key, attributes) =>
      attempt('cannot be given other attributes', key, async () => {
        await mustEntry(key);
        await apply(pathOf(key), attributes);
        return mustEntry(key);
      }),
    copy: (from, to) =>
      attempt('cannot be copied', from, async () => {
        await fs.copyFile(pathOf(from), pathOf(to), constants.COPYFILE_FICLONE);
        return mustEntry(to);
      }),
    move: (from, to) =>
      attempt('cannot be moved', from, async () => {
        await fs.rename(pathOf(from), pathOf(to)).catch(async (error: unknown) => {
          const isDone = isAbsence(error) && (await entryAt(to)) !== undefined;
          if (!isDone) throw error;
        });
      }),
    async remove(key, kind) {
      await demandRoot();
      await (kind === 'directory' ? fs.rmdir(pathOf(key)) : fs.unlink(pathOf(key))).catch((error: unknown) => {
        if (!isAbsence(error)) throw fault(error, 'cannot be removed', key);
      });
    },
    async capacity() {
      await demandRoot();
      const { bsize, blocks, bavail } = await fs.statfs(pathOf('' as StoreKey));
      return { total: bsize * blocks, free: bsize * bavail };
    },
    async close() {
      listings.clear();
    },
  };
}

async function writeWhole(
  path: Buffer,
  body: AsyncIterable<Uint8Array>,
  attributes: StoreAttributes | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const file = await fs.open(path, 'wx');
  try {
    for await (const bytes of body) {
      signal?.throwIfAborted();
      for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done)).bytesWritten;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (attributes) await apply(path, attributes);
}

/** The owner first: a chown takes set-id bits away. */
async function apply(path: Buffer, { mode, uid, gid, mtime }: StoreAttributes): Promise<void> {
  if (uid !== undefined && gid !== undefined && process.getuid?.() === 0) await fs.chown(path, uid, gid);
  if (mode !== undefined) await fs.chmod(path, mode);
  if (mtime !== undefined) await fs.utimes(path, Number(mtime) / 1e9, Number(mtime) / 1e9);
}

function kindOf(stat: BigIntStats): InodeKind | undefined {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  return stat.isSymbolicLink() ? 'symlink' : undefined; // fifos, sockets and devices have no bytes to show
}

function entryOf(key: StoreKey, kind: InodeKind, stat: BigIntStats, target: string | undefined): StoreEntry {
  return {
    key,
    kind,
    size: kind === 'directory' ? 0 : Number(stat.size),
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: stat.mtimeNs,
    ...(kind !== 'directory' && { fingerprint: fingerprintOf(stat) }),
    ...(target !== undefined && { target }),
  };
}

/** Size and mtime alone would miss a file replaced within the clock's grain; the inode tells, and ctime tells a set-back mtime. */
function fingerprintOf(stat: BigIntStats): Fingerprint {
  return `${stat.size}-${stat.mtimeNs}-${stat.ino}-${stat.ctimeNs}` as Fingerprint;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? '';
}

const isAbsence = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(codeOf(error));

function faultOf(error: unknown, what: string): unknown {
  const code = codeOf(error);
  if (isFault(error) || (error as Error | undefined)?.name === 'AbortError' || code === '') return error;
  const message = `${what} (${code})`;
  if (isAbsence(error)) return new LeatError('notFound', message, { cause: error });
  if (code === 'EEXIST') return new LeatError('exists', message, { cause: error });
  if (code === 'ENOTEMPTY') return new LeatError('notEmpty', message, { cause: error });
  if (code === 'EACCES' || code === 'EPERM') return new LeatError('denied', message, { cause: error });
  if (code === 'EROFS') return new LeatError('readOnly', message, { cause: error });
  if (code === 'ENOSPC' || code === 'EDQUOT') return new LeatError('noSpace', message, { cause: error });
  return new LeatError('unavailable', message, { cause: error });
}

async function inFlight<Item, Result>(items: readonly Item[], act: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await act(items[i] as Item);
  };
  await Promise.all(Array.from({ length: STATS_IN_FLIGHT }, worker));
  return results;
}
