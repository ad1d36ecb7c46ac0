import { AsyncLocalStorage } from 'node:async_hooks';
import type { Metastore, RowKey } from '#shared/ports/metastore.ts';
import type { Recorded } from './api/namespace.ts';

/** A metastore, and which of its rows an act has changed, or tried to, until it answered. */
export function touchedRows(metastore: Metastore): { readonly metastore: Metastore; readonly recorded: Recorded } {
  const acts = new AsyncLocalStorage<RowKey[]>();
  return {
    metastore: {
      get: (keys) => metastore.get(keys),
      list: (directory, page) => metastore.list(directory, page),
      commit(changes, options) {
        acts.getStore()?.push(...changes.filter(({ act }) => act !== 'check').map(({ key }) => key));
        return metastore.commit(changes, options);
      },
      flushed: () => metastore.flushed(),
      close: () => metastore.close(),
    },
    async recorded(act) {
      const touched: RowKey[] = [];
      const result = await acts.run(touched, act);
      return { result, touched };
    },
  };
}
