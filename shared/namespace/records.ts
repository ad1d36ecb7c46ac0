import type { RecordRow } from '../model/inode.ts';
import type { Metastore, RowKey } from '../ports/metastore.ts';

/** A value in a record, and the version that a change of it has to meet. */
export interface Kept<Value> {
  readonly value: Value;
  readonly version: number;
}

export async function recordAt<Value>(metastore: Metastore, key: RowKey): Promise<Kept<Value> | undefined> {
  const [row] = await metastore.get([key]);
  return row?.kind === 'record' ? keptIn<Value>(row) : undefined;
}

export function keptIn<Value>({ version, body }: RecordRow): Kept<Value> {
  return { value: JSON.parse(body) as Value, version };
}

/** False: since `before` was read, which is undefined of a record that was not there, somebody else has been quicker. */
export async function replaceRecord<Value>(
  metastore: Metastore,
  key: RowKey,
  { value, before }: { readonly value: Value; readonly before: Kept<Value> | undefined },
): Promise<boolean> {
  const when = before ? { version: before.version } : 'absent';
  const row: RecordRow = { kind: 'record', version: (before?.version ?? 0) + 1, body: JSON.stringify(value) };
  return (await metastore.commit([{ act: 'put', key, when, row }])).committed;
}
