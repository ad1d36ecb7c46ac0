import type { FileInfo } from '#functions/api/file-info.ts';
import { isFault, LeatError } from '#shared/model/faults.ts';
import { isSpecialKind } from '#shared/model/inode.ts';
import type { Client } from './client.ts';
import { entriesOf } from './fs-ls.ts';
import { type Item, type Side, unfinishedName } from './side.ts';

/** The files of the namespace, by way of the API. */
export function leatSide(client: Client, signal: AbortSignal): Side {
  return {
    async stat(path, { follow }) {
      try {
        return itemOf(await (await client.files.$get({ query: { path, follow: follow ? 'true' : 'false' } })).json());
      } catch (error) {
        if (isFault(error, 'notFound')) return undefined;
        throw error;
      }
    },
    async *list(path) {
      for await (const info of entriesOf(client, path)) {
        const item = itemOf(info);
        if (item) yield item;
      }
    },
    async read(path) {
      const { body } = await client.content.$get({ query: { path } }, { init: { signal } });
      if (!body) throw new LeatError('unavailable', `${path}: the agent sent no bytes; try again`);
      return body;
    },
    write: (path, body, { mode, size }) => client.put(path, body, { mode, size, signal }),
    async makeDirectory(path, { mode }) {
      await client.files.$post({ json: { kind: 'directory', path, mode, parents: true } });
    },
    async makeSymlink(path, target) {
      const make = (at: string) => client.files.$post({ json: { kind: 'symlink', path: at, target } });
      try {
        await make(path);
      } catch (error) {
        if (!isFault(error, 'exists')) throw error;
        // A symlink cannot be made in the place of another, but renamed onto it.
        const unfinished = unfinishedName(path);
        await make(unfinished);
        await client.files.rename.$post({ json: { from: unfinished, to: path } }).catch(async (reason: unknown) => {
          await client.files.$delete({ query: { path: unfinished, kind: 'file' } });
          throw reason;
        });
      }
    },
    async setTime(path, mtimeNs) {
      await client.files.$patch({ json: { path, mtimeNs: mtimeNs.toString() } });
    },
  };
}

/** `undefined` for devices, sockets and pipes, which are not copied. */
function itemOf({ name, kind, size, mode, mtimeNs, target }: FileInfo): Item | undefined {
  if (isSpecialKind(kind)) return undefined;
  return { name, kind, size, mode, mtimeNs: BigInt(mtimeNs), ...(target !== undefined && { target }) };
}
