import type { StoreKey } from '#shared/model/inode.ts';
import { fromText } from '#shared/model/names.ts';
import type { ByteRange, ReadOptions, StoreEntry, UnderStore, WriteOptions } from '#shared/ports/under-store.ts';

/** What engines may differ in: where the port lets them, or where a server has a fault that no driver can mend. */
export interface StoreTraits {
  /** A key may be an object and, with more behind a slash, a directory at once. */
  readonly holdsObjectAndPrefix: boolean;
  readonly moves: boolean;
  /** `when` of a write is checked by the store, not only sent to it. */
  readonly checksConditions: boolean;
  /** What is left of an upload can be thrown away. */
  readonly abortsUploads: boolean;
  /** Names are any bytes; else they are UTF-8. */
  readonly holdsAnyBytes: boolean;
  /** A directory shows that has nothing but directories in it. */
  readonly showsDeepPrefixes: boolean;
  /** Names are listed as they are, also with letters that XML escapes. */
  readonly listsMarkup: boolean;
  readonly nameBytesMax: number;
  /** A name that it can copy from. */
  readonly copySource: string;
}

export interface StoreEngine {
  readonly name: string;
  readonly traits: StoreTraits;
  /** An empty store. */
  open(): Promise<UnderStore>;
}

export const key = (text: string): StoreKey => fromText(text) as StoreKey;

export async function* pieces(...bodies: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const body of bodies) yield typeof body === 'string' ? Buffer.from(body) : body;
}

export function put(store: UnderStore, name: string, body = name, options?: WriteOptions): Promise<StoreEntry> {
  return store.write(key(name), pieces(body), options);
}

/** More than any object here has. */
const EVERYTHING: ByteRange = { offset: 0, length: 1 << 30 };

export async function get(store: UnderStore, name: string, range = EVERYTHING, options?: ReadOptions): Promise<string> {
  const got: Buffer[] = [];
  await store.read(key(name), range, (bytes) => got.push(Buffer.from(bytes)), options);
  return Buffer.concat(got).toString();
}

export async function inLanes(count: number, act: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < count; i = next++) await act(i);
  };
  await Promise.all(Array.from({ length: 16 }, lane));
}
