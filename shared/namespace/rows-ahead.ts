import { ABOVE_ROOT, type InodeId, ROOT } from '../model/ids.ts';
import type { Inode, Row } from '../model/inode.ts';
import { type Name, namesOf, type Path } from '../model/names.ts';
import { keyText, type RowKey } from '../ports/metastore.ts';
import { type Context, inodeAt } from './context.ts';

export const ROOT_KEY: RowKey = { directory: ABOVE_ROOT, name: '' as Name };

/**
 * The rows on the way of paths, for one act. Where the id of a directory can be told from its place, all rows of a path are
 * read in one round trip; at a directory that is not the first of its name the reading goes on from there. Elsewhere a row is
 * read when it is asked for, because that costs nothing.
 */
export class RowsAhead {
  readonly #context: Context;
  /** Read along with the first row. */
  readonly #paths: readonly Path[];
  readonly #rows = new Map<string, Row | undefined>();

  constructor(context: Context, paths: readonly Path[]) {
    this.#context = context;
    this.#paths = paths;
  }

  /** `rest`: the names that are going to be asked for after it. */
  async inodeAt(key: RowKey, rest: readonly Name[]): Promise<Inode | undefined> {
    const { directoryIdOf } = this.#context;
    if (!directoryIdOf) return inodeAt(this.#context, key);
    const asked = keyText(key);
    if (!this.#rows.has(asked)) await this.#read(foretold(directoryIdOf, key, rest));
    const row = this.#rows.get(asked);
    return row && row.kind !== 'record' ? row : undefined;
  }

  async #read(keys: readonly RowKey[]): Promise<void> {
    const { metastore, directoryIdOf } = this.#context;
    const isFirst = this.#rows.size === 0;
    const ways =
      isFirst && directoryIdOf ? this.#paths.map((path) => foretold(directoryIdOf, ROOT_KEY, namesOf(path))) : [];
    const wanted = new Map([...keys, ...ways.flat()].map((key) => [keyText(key), key]));
    const unread = [...wanted].filter(([text]) => !this.#rows.has(text));
    const rows = await metastore.get(unread.map(([, key]) => key));
    for (const [i, [text]] of unread.entries()) this.#rows.set(text, rows[i]);
  }
}

/** The keys of a row and of those below it, if every directory is the first of its name. */
function foretold(directoryIdOf: (key: RowKey) => InodeId, from: RowKey, names: readonly Name[]): RowKey[] {
  const keys = [from];
  for (const name of names) {
    const above = keys.at(-1) ?? from;
    keys.push({ directory: above.directory === ABOVE_ROOT ? ROOT : directoryIdOf(above), name });
  }
  return keys;
}
