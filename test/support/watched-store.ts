import { LeatError, type FaultKind } from '#shared/model/faults.ts';
import type { StoreKey } from '#shared/model/inode.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { memoryUnderStore } from '#shared/under-stores/memory.ts';

type Method = Exclude<keyof UnderStore, 'supports' | 'uri' | 'capacity' | 'close'>;

/** A store whose calls are written down, and can be made to fail or to wait. */
export interface WatchedStore extends UnderStore {
  /** `list a/b`, `move a to b` … in the order in which they began. */
  readonly calls: string[];
  /** What the next calls meet: a failure of this kind, or a wait. `undefined`: nothing. */
  meets: ((call: string) => FaultKind | Promise<void> | undefined) | undefined;
  count(method: Method): number;
  /** Puts files of these texts behind the back of the namespace. */
  put(files: Readonly<Record<string, string>>): Promise<void>;
}

export function watchedStore(inner: UnderStore = memoryUnderStore()): WatchedStore {
  const calls: string[] = [];
  async function pass<Result>(call: string, act: () => Promise<Result>): Promise<Result> {
    calls.push(call);
    const met = store.meets?.(call);
    if (typeof met === 'string') throw new LeatError(met, `${call}: made to fail`);
    await met;
    return act();
  }
  const store: WatchedStore = {
    supports: inner.supports,
    uri: inner.uri,
    calls,
    meets: undefined,
    count: (method) => calls.filter((call) => call.startsWith(`${method} `)).length,
    async put(files) {
      for (const [key, text] of Object.entries(files)) {
        const body = (async function* () {
          yield new TextEncoder().encode(text);
        })();
        await inner.write(key as StoreKey, body);
      }
    },
    stat: (key) => pass(`stat ${key}`, () => inner.stat(key)),
    list: (key, cursor) => pass(`list ${key}`, () => inner.list(key, cursor)),
    read: (key, ...rest) => pass(`read ${key}`, () => inner.read(key, ...rest)),
    write: (key, ...rest) => pass(`write ${key}`, () => inner.write(key, ...rest)),
    async upload(key, ...rest) {
      const upload = await pass(`upload ${key}`, () => inner.upload(key, ...rest));
      return {
        id: upload.id,
        put: (part, ...body) => pass(`put ${key} ${part}`, () => upload.put(part, ...body)),
        copy: (part, length) => pass(`copy ${key} ${part}`, () => upload.copy(part, length)),
        finish: (options) => pass(`finish ${key}`, () => upload.finish(options)),
        abort: () => pass(`abort ${key}`, () => upload.abort()),
      };
    },
    abandonUpload: (key, id) => pass(`abandonUpload ${key}`, () => inner.abandonUpload(key, id)),
    makeDirectory: (key, ...rest) => pass(`makeDirectory ${key}`, () => inner.makeDirectory(key, ...rest)),
    makeSymlink: (key, ...rest) => pass(`makeSymlink ${key}`, () => inner.makeSymlink(key, ...rest)),
    setAttributes: (key, ...rest) => pass(`setAttributes ${key}`, () => inner.setAttributes(key, ...rest)),
    copy: (from, to) => pass(`copy ${from} to ${to}`, () => inner.copy(from, to)),
    move: (from, to) => pass(`move ${from} to ${to}`, () => inner.move(from, to)),
    remove: (key, kind) => pass(`remove ${key}`, () => inner.remove(key, kind)),
    capacity: () => inner.capacity(),
    close: () => inner.close(),
  };
  return store;
}
