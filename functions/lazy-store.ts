import type { UnderStore } from '#shared/ports/under-store.ts';
import type { StoreAddress } from '#shared/under-stores/open.ts';

/**
 * A store whose driver is loaded with the first call: S3's client takes longer to load than all the rest of a function, and few
 * requests need it. What is wrong with the address shows then too.
 */
export function lazyStore(address: StoreAddress): UnderStore {
  let opened: Promise<UnderStore> | undefined;
  const driver = () =>
    (opened ??= import('#shared/under-stores/open.ts').then(({ openUnderStore }) => openUnderStore(address)));
  const isFolder = address.uri.startsWith('file:');
  return {
    supports: { directories: isFolder, move: isFolder },
    uri: address.uri,
    stat: async (...args) => (await driver()).stat(...args),
    list: async (...args) => (await driver()).list(...args),
    read: async (...args) => (await driver()).read(...args),
    write: async (...args) => (await driver()).write(...args),
    upload: async (...args) => (await driver()).upload(...args),
    abandonUpload: async (...args) => (await driver()).abandonUpload(...args),
    makeDirectory: async (...args) => (await driver()).makeDirectory(...args),
    makeSymlink: async (...args) => (await driver()).makeSymlink(...args),
    setAttributes: async (...args) => (await driver()).setAttributes(...args),
    copy: async (...args) => (await driver()).copy(...args),
    move: async (...args) => (await driver()).move(...args),
    remove: async (...args) => (await driver()).remove(...args),
    capacity: async () => (await driver()).capacity(),
    async close() {
      await (await opened)?.close();
    },
  };
}
