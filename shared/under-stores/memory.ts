import { LeatError } from '../model/faults.ts';
import type { Fingerprint, InodeKind, StoreKey } from '../model/inode.ts';
import {
  type StoreAttributes,
  type StoreEntry,
  STORE_PAGE_ENTRIES,
  type StorePage,
  type UnderStore,
} from '../ports/under-store.ts';

interface Item {
  readonly kind: InodeKind;
  readonly bytes: Uint8Array;
  readonly version: number;
  readonly attributes: StoreAttributes;
  readonly target?: string;
}

/** A store in memory: for tests, and for the simulation of others. Keys may be objects and prefixes at once, as on S3. */
export function memoryUnderStore(): UnderStore {
  const items = new Map<StoreKey, Item>();
  let versions = 0;

  const put = (key: StoreKey, item: Omit<Item, 'version'>): StoreEntry => {
    const stored = { ...item, version: ++versions };
    items.set(key, stored);
    return entryOf(key, stored);
  };
  const must = (key: StoreKey): Item => {
    const item = items.get(key);
    if (item) return item;
    throw new LeatError('notFound', `memory:/${key}: no such object`);
  };
  const below = (key: StoreKey): StoreKey[] => [...items.keys()].filter((each) => each.startsWith(`${key}/`));

  return {
    supports: { directories: false, move: false },
    uri: 'memory:',
    async stat(key) {
      const item = items.get(key);
      if (item && item.kind !== 'directory') return entryOf(key, item);
      return item || key === '' || below(key).length > 0 ? entryOf(key, item ?? PREFIX) : undefined;
    },
    async list(directory, cursor) {
      return page(childrenOf(items, directory), cursor);
    },
    async read(key, { offset, length }, sink, { fingerprint, signal } = {}) {
      const item = must(key);
      if (fingerprint !== undefined && fingerprint !== fingerprintOf(item))
        throw new LeatError('changed', `memory:/${key}: is another version now`);
      signal?.throwIfAborted();
      const bytes = item.bytes.subarray(offset, offset + length);
      if (bytes.length > 0) sink(bytes);
    },
    async write(key, body, { attributes = {}, when } = {}) {
      const pieces: Uint8Array[] = [];
      for await (const piece of body) pieces.push(piece.slice());
      const old = items.get(key);
      if (when === 'absent' && old) throw new LeatError('exists', `memory:/${key}: exists`);
      if (when !== undefined && when !== 'absent' && (!old || fingerprintOf(old) !== when)) {
        throw new LeatError('changed', `memory:/${key}: is another version now`);
      }
      return put(key, { kind: 'file', bytes: joined(pieces), attributes });
    },
    async makeDirectory(key, attributes = {}) {
      if (!items.has(key)) put(key, { kind: 'directory', bytes: new Uint8Array(), attributes });
    },
    async makeSymlink(key, target, attributes = {}) {
      return put(key, { kind: 'symlink', bytes: new Uint8Array(target.length), attributes, target });
    },
    async setAttributes(key, attributes) {
      const item = must(key);
      const changed = { ...item, attributes: { ...item.attributes, ...attributes } };
      items.set(key, changed);
      return entryOf(key, changed);
    },
    async copy(from, to) {
      return put(to, must(from));
    },
    async move(from) {
      throw new LeatError('unsupported', `memory:/${from}: objects are copied and removed, not moved`);
    },
    async remove(key, kind) {
      const item = items.get(key);
      if (item && (item.kind === 'directory') === (kind === 'directory')) items.delete(key);
    },
    async capacity() {
      return undefined;
    },
    async close() {},
  };
}

const PREFIX: Item = { kind: 'directory', bytes: new Uint8Array(), version: 0, attributes: {} };

const fingerprintOf = ({ version }: Item): Fingerprint => `v${version}` as Fingerprint;

function entryOf(key: StoreKey, item: Item): StoreEntry {
  return {
    key,
    kind: item.kind,
    size: item.bytes.length,
    ...item.attributes,
    ...(item.kind !== 'directory' && { fingerprint: fingerprintOf(item) }),
    ...(item.target !== undefined && { target: item.target }),
  };
}

function childrenOf(items: Map<StoreKey, Item>, directory: StoreKey): { entries: StoreEntry[]; unnameable: number } {
  const prefix = directory === '' ? '' : `${directory}/`;
  const children = new Map<string, StoreEntry>();
  let unnameable = 0;
  for (const [key, item] of items) {
    if (!key.startsWith(prefix) || key === directory) continue;
    const rest = key.slice(prefix.length);
    const slash = rest.indexOf('/');
    const name = slash < 0 ? rest : rest.slice(0, slash);
    if (!isNameable(name)) unnameable++;
    else if (slash < 0 && item.kind !== 'directory') children.set(name, entryOf(key, item));
    else children.set(`${name}/`, entryOf((prefix + name) as StoreKey, PREFIX));
  }
  const entries = [...children].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  return { entries, unnameable };
}

/** A name that a POSIX file system can show. */
export function isNameable(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && name.length <= 255 && !name.includes('\0');
}

/** Pages of what is known whole; the cursor is a position. */
export function page(
  { entries, unnameable }: { entries: readonly StoreEntry[]; unnameable: number },
  cursor?: string,
): StorePage {
  const start = Number(cursor ?? 0);
  const end = start + STORE_PAGE_ENTRIES;
  return {
    entries: entries.slice(start, end),
    unnameable: start === 0 ? unnameable : 0,
    ...(end < entries.length && { cursor: String(end) }),
  };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
