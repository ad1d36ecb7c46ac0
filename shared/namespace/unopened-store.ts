import { LeatError, toLeatError } from '../model/faults.ts';
import { toText } from '../model/names.ts';
import type { UnderStore } from '../ports/under-store.ts';
import type { Mount } from './namespace.ts';

/** Stands for a store whose driver could not be made: what is known of it stays readable, and the reason is told. */
export function unopenedStore({ uri, path }: Mount, reason: unknown): UnderStore {
  const refuse = async () => {
    const next = 'unmount it and mount it again with other options';
    throw new LeatError('unavailable', `${toText(path)} (${uri}): ${toLeatError(reason).message}; ${next}`);
  };
  return {
    supports: { directories: false, move: false },
    uri,
    stat: refuse,
    list: refuse,
    read: refuse,
    write: refuse,
    upload: refuse,
    abandonUpload: refuse,
    makeDirectory: refuse,
    makeSymlink: refuse,
    setAttributes: refuse,
    copy: refuse,
    move: refuse,
    remove: refuse,
    capacity: refuse,
    async close() {},
  };
}
