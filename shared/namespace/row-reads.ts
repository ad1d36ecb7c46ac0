import * as z from 'zod';
import { AnyRow, Id, Key } from './messages.ts';

const KEYS_MAX = 1000;
/** An answer of a function has 6 MB at most. */
export const PAGE_ROWS_MAX = 1000;
const name = Key.shape.name;

/** The reading half of the port `Metastore` as messages, for agents that cannot reach the table by themselves. */
export const ROW_READS = {
  get: {
    input: z.object({ keys: z.array(Key).max(KEYS_MAX).readonly() }),
    /** In the order of the keys; null: no such row. */
    answer: z.object({ rows: z.array(AnyRow.nullable()) }),
  },
  list: {
    input: z.object({ directory: Id, after: name.exactOptional(), limit: z.int().min(1).max(PAGE_ROWS_MAX) }),
    answer: z.object({ rows: z.array(z.object({ name, row: AnyRow })) }),
  },
} as const;
