/** A kind of request to DynamoDB, as the driver's counter names it. */
type RequestKind = 'GetItem' | 'BatchGetItem' | 'Query' | 'PutItem' | 'DeleteItem' | 'TransactWriteItems';

/** By kind: how many requests, and how many items they name. A test counts the same over the real driver. */
export type Requests = Readonly<Partial<Record<RequestKind, readonly [requests: number, items: number]>>>;

/** An item of a file with a name of 20 bytes, an ETag and a size: what DynamoDB reads, writes and rounds up. */
export const ITEM_BYTES = 250;
/** DynamoDB stores, and charges for, a hundred bytes of index with every item. */
export const STORED_BYTES = ITEM_BYTES + 100;
const LIST_ENTRIES = 1000;
const READ_UNIT_BYTES = 4096;
const WRITE_UNIT_BYTES = 1024;
/** Every item of a transaction, checked ones too, is written twice. */
const TRANSACTION_FACTOR = 2;

interface Shape {
  /** What it does, for people. */
  readonly says: string;
  /** `depth`: of the path, 1 for `/name`. A path is read whole, so its rows are its depth and the root's. */
  readonly requests: (depth: number) => Requests;
  /** Items that have another image afterwards: so many records come in the stream. */
  readonly changes: number;
}

const path = (depth: number): readonly [number, number] => [1, depth + 1];

/** For files and directories that are in no store, of any age but the first seconds; in stores an intent comes with a write. */
export const OPERATIONS = {
  stat: {
    says: 'stat, open; any depth, nothing cached',
    requests: (depth) => ({ BatchGetItem: path(depth) }),
    changes: 0,
  },
  list: {
    says: 'list 1,000 entries',
    requests: (depth) => ({ BatchGetItem: path(depth), Query: [1, 1] }),
    changes: 0,
  },
  create: {
    says: 'create a file',
    requests: (depth) => ({ BatchGetItem: path(depth), PutItem: [1, 1], GetItem: [1, 1] }),
    changes: 1,
  },
  unlink: {
    says: 'unlink a file',
    requests: (depth) => ({ BatchGetItem: path(depth), DeleteItem: [1, 1] }),
    changes: 1,
  },
  chmod: {
    says: 'chmod, chown, utimes',
    requests: (depth) => ({ BatchGetItem: path(depth), PutItem: [1, 1] }),
    changes: 1,
  },
  mkdir: {
    says: 'mkdir',
    // Whether the id that can be told from the name has been used, and whether anything is left below it.
    requests: (depth) => ({
      BatchGetItem: path(depth),
      GetItem: [2, 2],
      Query: [1, 1],
      TransactWriteItems: [1, 2],
    }),
    changes: 2,
  },
  rmdir: {
    says: 'rmdir',
    requests: (depth) => ({
      BatchGetItem: path(depth),
      Query: [2, 2],
      GetItem: [1, 1],
      PutItem: [1, 1],
      TransactWriteItems: [1, 2],
    }),
    changes: 3,
  },
  'rename-file': {
    says: 'rename a file',
    // Both paths are read at once; here they differ in their last names.
    requests: (depth) => ({ BatchGetItem: [1, depth + 2], TransactWriteItems: [1, 3] }),
    changes: 2,
  },
  'rename-directory': {
    says: 'move a directory of any size to the directory beside its own',
    // Rows at both keys, where the directory is kept, and a check of every ancestor of the target.
    requests: (depth) => ({ BatchGetItem: [1, depth + 3], Query: [1, 1], TransactWriteItems: [1, depth + 3] }),
    changes: 3,
  },
  'remove-tree': {
    says: 'remove a tree of any size, until it answers',
    requests: (depth) => ({ BatchGetItem: path(depth), Query: [1, 1], TransactWriteItems: [1, 3] }),
    changes: 3,
  },
  'reclaim-100': {
    says: 'behind it, for every 100 rows of the tree',
    requests: () => ({ Query: [1, 1], TransactWriteItems: [1, 100] }),
    changes: 100,
  },
} as const satisfies Record<string, Shape>;

export type Operation = keyof typeof OPERATIONS;
export const OPERATION_NAMES = Object.keys(OPERATIONS) as Operation[];

interface Units {
  readonly read: number;
  readonly write: number;
}

const readUnits = (bytes: number): number => Math.ceil(bytes / READ_UNIT_BYTES);
export const writeUnits = (bytes: number): number => Math.ceil(bytes / WRITE_UNIT_BYTES);
/** What one Query charges is rounded up once, over all that it meets; one that meets nothing costs as much as one item. */
const QUERIED: Partial<Record<Operation, number>> = { list: LIST_ENTRIES, 'reclaim-100': 100 };

/** All reads are consistent: a unit for every 4 KB begun, of each item of its own; and a missing item costs as one that is there. */
export function unitsOf(operation: Operation, depth: number): Units {
  const requests: Requests = OPERATIONS[operation].requests(depth);
  const items = (kind: RequestKind) => requests[kind]?.[1] ?? 0;
  const entries = QUERIED[operation] ?? 1;
  const gets = (items('GetItem') + items('BatchGetItem')) * readUnits(ITEM_BYTES);
  const queries = items('Query') * readUnits(entries * ITEM_BYTES);
  const singles = (items('PutItem') + items('DeleteItem')) * writeUnits(ITEM_BYTES);
  const transactions = items('TransactWriteItems') * writeUnits(ITEM_BYTES) * TRANSACTION_FACTOR;
  return { read: gets + queries, write: singles + transactions };
}
