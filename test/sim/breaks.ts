import { PLACES } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import type { Change, Metastore, RowKey } from '#shared/ports/metastore.ts';

/** Ways to break the protocol on purpose, each between one executor and the rows: a simulation that does not find them is blind. */
export const BREAKS = {
  /** What create reads after its write is what it has read before. */
  'create does not read its directory again': (metastore) => {
    const read = new Map<string, Row | undefined>();
    let isPut = false;
    return {
      ...metastore,
      async get(keys) {
        const [only] = keys;
        const known = only && keys.length === 1 ? read.get(textOf(only)) : undefined;
        if (isPut && known) {
          isPut = false;
          return [known];
        }
        const rows = await metastore.get(keys);
        for (const [i, key] of keys.entries()) read.set(textOf(key), rows[i]);
        return rows;
      },
      async commit(changes, options) {
        const result = await metastore.commit(changes, options);
        isPut = result.committed && changes.some(({ act, when }) => act === 'put' && when === 'absent');
        return result;
      },
    };
  },
  'the mark of rmdir does not care what it marks': (metastore) =>
    withChanges(metastore, (change) => (isMark(change) ? { ...change, when: 'any' } : change)),
  'rmdir removes without a mark': (metastore) =>
    withRows(
      metastore,
      (row) => row,
      (changes) => changes.map((change) => (isMark(change) ? unmarked(change) : change)),
    ),
  'rename checks no ancestor': (metastore) =>
    withRows(
      metastore,
      (row) => row,
      (changes) => changes.filter(({ act }) => act !== 'check'),
    ),
  'rename takes a row as it is by now': (metastore) =>
    withChanges(metastore, (change) =>
      change.act === 'remove' && change.key.directory !== PLACES ? { ...change, when: 'any' } : change,
    ),
  'nobody is told where a directory has gone': (metastore) =>
    withRows(
      metastore,
      (row) => row,
      (changes) =>
        changes.filter(({ act, key, when }) => !(act === 'put' && key.directory === PLACES && when === 'any')),
    ),
  'who meets a young row trusts it': (metastore) => withRows(metastore, settled, (changes) => changes),
  'who meets a closing directory does not wait': (metastore) => withRows(metastore, opened, (changes) => changes),
} as const satisfies Record<string, (metastore: Metastore) => Metastore>;

const textOf = ({ directory, name }: RowKey): string => `${directory}/${name}`;

const isMark = (change: Change): change is Change & { readonly act: 'put' } =>
  change.act === 'put' && change.row.kind !== 'record' && change.row.closing !== undefined;

function unmarked(change: Change & { readonly act: 'put' }): Change {
  const { closing: _, ...row } = change.row as Exclude<Row, { readonly kind: 'record' }>;
  return { ...change, row };
}

function settled(row: Row | undefined): Row | undefined {
  if (!row || row.kind === 'record') return row;
  const { bornAt: _, ...old } = row;
  return old;
}

function opened(row: Row | undefined): Row | undefined {
  if (!row || row.kind === 'record') return row;
  const { closing: _, ...open } = row;
  return open;
}

const withChanges = (metastore: Metastore, each: (change: Change) => Change): Metastore =>
  withRows(
    metastore,
    (row) => row,
    (changes) => changes.map(each),
  );

function withRows(
  metastore: Metastore,
  see: (row: Row | undefined) => Row | undefined,
  sent: (changes: readonly Change[]) => readonly Change[],
): Metastore {
  return {
    ...metastore,
    get: async (keys) => (await metastore.get(keys)).map(see),
    list: async (directory, page) =>
      (await metastore.list(directory, page)).map(({ name, row }) => ({ name, row: see(row) ?? row })),
    commit: (changes, options) => metastore.commit(sent(changes), options),
  };
}
