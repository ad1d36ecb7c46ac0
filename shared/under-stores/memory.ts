import { LeatError } from '../model/faults.ts';
import type { Fingerprint, StoredKind, StoreKey } from '../model/inode.ts';
import { toText } from '../model/names.ts';
import { partRange, partsOf } from '../ports/object-parts.ts';
import {
  type ByteRange,
  type ObjectUpload,
  type ReadOptions,
  type Sink,
  type StoreAttributes,
  type StoreEntry,
  STORE_PAGE_ENTRIES,
  type StorePage,
  type UnderStore,
  type UploadOptions,
  type WriteOptions,
} from '../ports/under-store.ts';
import { LaidParts } from './laid-parts.ts';

interface Item {
  readonly kind: StoredKind;
  readonly bytes: Uint8Array;
  readonly version: number;
  readonly attributes: StoreAttributes;
  readonly target?: string;
}

const NO_BYTES = new Uint8Array();

/** A store in memory: for tests, and for the simulation of others. Keys may be objects and prefixes at once, as on S3. */
export function memoryUnderStore(): UnderStore {
  return new MemoryUnderStore();
}

class MemoryUnderStore implements UnderStore {
  readonly supports = { directories: false, move: false };
  readonly uri = 'memory:';
  /** By key; markers of directories by key and slash. */
  readonly #items = new Map<string, Item>();
  #versions = 0;

  async stat(key: StoreKey): Promise<StoreEntry | undefined> {
    const item = this.#items.get(key);
    return item ? entryOf(key, item) : this.#directory(key);
  }

  async list(directory: StoreKey, cursor?: string): Promise<StorePage> {
    return childrenOf(this.#items, directory, cursor);
  }

  async read(key: StoreKey, { offset, length }: ByteRange, sink: Sink, options: ReadOptions = {}): Promise<void> {
    if (options.signal?.aborted) throw new LeatError('interrupted', `${nameOf(key)}: the read was interrupted`);
    const item = this.#must(key);
    if (options.fingerprint !== undefined && options.fingerprint !== fingerprintOf(item)) throw isOther(key);
    const bytes = item.bytes.subarray(offset, offset + length);
    if (bytes.length > 0) sink(bytes);
  }

  async write(key: StoreKey, body: AsyncIterable<Uint8Array>, options: WriteOptions = {}): Promise<StoreEntry> {
    const { attributes = {}, when, signal } = options;
    const bytes = await collected(key, body, signal);
    return this.#show(key, { kind: 'file', bytes, attributes }, when);
  }

  async upload(key: StoreKey, { attributes = {}, base, signal }: UploadOptions = {}): Promise<ObjectUpload> {
    const laid = new LaidParts();
    const parts: Uint8Array[] = [];
    const lay = (part: number, bytes: Uint8Array) => {
      parts[part] = bytes;
      laid.laid(part, bytes.length);
    };
    return {
      id: String(++this.#versions),
      put: async (part, body) =>
        lay(part, await collected(key, body instanceof Uint8Array ? [body] : body.pieces(), signal)),
      copy: async (part, length) => {
        const item = this.#items.get(key);
        if (!item || fingerprintOf(item) !== base) throw isOther(key);
        const { offset } = partRange(part);
        lay(part, item.bytes.subarray(offset, offset + length));
      },
      finish: async ({ size, when, attributes: final = attributes }) => {
        laid.demandWhole(size);
        const bytes = Buffer.concat(parts.slice(1, partsOf(size) + 1));
        return this.#show(key, { kind: 'file', bytes, attributes: final }, when);
      },
      abort: async () => void (parts.length = 0),
    };
  }

  async abandonUpload(): Promise<void> {}

  async makeDirectory(key: StoreKey, attributes?: StoreAttributes): Promise<void> {
    const old = this.#items.get(`${key}/`)?.attributes;
    this.#putMarker(key, { ...old, ...attributes });
  }

  async makeSymlink(key: StoreKey, target: string, attributes: StoreAttributes = {}): Promise<StoreEntry> {
    return this.#put(key, { kind: 'symlink', bytes: new Uint8Array(target.length), attributes, target });
  }

  async setAttributes(key: StoreKey, attributes: StoreAttributes): Promise<StoreEntry> {
    const item = this.#items.get(key);
    if (item) {
      const changed = { ...item, attributes: { ...item.attributes, ...attributes } };
      this.#items.set(key, changed);
      return entryOf(key, changed);
    }
    const directory = this.#directory(key);
    if (!directory) throw absent(key);
    await this.makeDirectory(key, attributes);
    return { ...directory, ...attributes };
  }

  async copy(from: StoreKey, to: StoreKey): Promise<StoreEntry> {
    return this.#put(to, this.#must(from));
  }

  async move(from: StoreKey): Promise<void> {
    throw new LeatError('unsupported', `${nameOf(from)}: objects are copied and removed, not moved`);
  }

  async remove(key: StoreKey, kind: StoredKind): Promise<void> {
    this.#items.delete(kind === 'directory' ? `${key}/` : key);
  }

  async capacity(): Promise<undefined> {
    return undefined;
  }

  async close(): Promise<void> {}

  #put(key: StoreKey, item: Omit<Item, 'version'>): StoreEntry {
    const stored = { ...item, version: ++this.#versions };
    this.#items.set(key, stored);
    return entryOf(key, stored);
  }

  #show(key: StoreKey, item: Omit<Item, 'version'>, when: WriteOptions['when']): StoreEntry {
    const old = this.#items.get(key);
    if (when === 'absent' && old) throw new LeatError('exists', `${nameOf(key)}: exists`);
    if (when !== undefined && when !== 'absent' && (!old || fingerprintOf(old) !== when)) throw isOther(key);
    return this.#put(key, item);
  }

  #putMarker(key: StoreKey, attributes: StoreAttributes): void {
    if (key !== '') this.#items.set(`${key}/`, { kind: 'directory', bytes: NO_BYTES, version: 0, attributes });
  }

  #must(key: StoreKey): Item {
    const item = this.#items.get(key);
    if (item) return item;
    throw absent(key);
  }

  /** A marker, a prefix of keys, or the root. */
  #directory(key: StoreKey): StoreEntry | undefined {
    const marker = this.#items.get(`${key}/`);
    if (marker) return entryOf(key, marker);
    const isPrefix = key === '' || [...this.#items.keys()].some((each) => each.startsWith(`${key}/`));
    return isPrefix ? { key, kind: 'directory', size: 0 } : undefined;
  }
}

const nameOf = (key: StoreKey): string => `memory:/${toText(key)}`;
const absent = (key: StoreKey): LeatError => new LeatError('notFound', `${nameOf(key)}: no such object`);
const isOther = (key: StoreKey): LeatError => new LeatError('changed', `${nameOf(key)}: is another version now`);
const fingerprintOf = ({ version }: Item): Fingerprint => `v${version}` as Fingerprint;

async function collected(
  key: StoreKey,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) {
    if (signal?.aborted) throw new LeatError('interrupted', `${nameOf(key)}: the write was interrupted`);
    pieces.push(Uint8Array.from(piece)); // `slice` of a Buffer would still share its memory
  }
  return Buffer.concat(pieces);
}

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

/** A page; its cursor is the last name before the next, so that what changes in between shifts nothing. */
function childrenOf(items: ReadonlyMap<string, Item>, directory: StoreKey, after = ''): StorePage {
  const prefix = directory === '' ? '' : `${directory}/`;
  const children = new Map<string, StoreEntry>();
  const unnameable = new Set<string>();
  for (const [key, item] of items) {
    if (!key.startsWith(prefix) || key === prefix) continue;
    const rest = key.slice(prefix.length);
    const slash = rest.indexOf('/');
    const name = slash < 0 ? rest : rest.slice(0, slash);
    const child = slash < 0 ? name : `${name}/`;
    if (!isNameable(name)) unnameable.add(child);
    else if (slash < 0) children.set(child, entryOf((prefix + name) as StoreKey, item));
    else children.set(child, { key: (prefix + name) as StoreKey, kind: 'directory', size: 0 });
  }
  const rest = [...children].filter(([name]) => name > after).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const shown = rest.slice(0, STORE_PAGE_ENTRIES);
  const last = shown.at(-1)?.[0];
  return {
    entries: shown.map(([, entry]) => entry),
    unnameable: after === '' ? unnameable.size : 0,
    ...(last !== undefined && shown.length < rest.length && { cursor: last }),
  };
}

/** A name that a POSIX file system can show. */
export function isNameable(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && name.length <= 255 && !name.includes('\0');
}
