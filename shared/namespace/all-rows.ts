import type { InodeId } from '../model/ids.ts';
import type { Name } from '../model/names.ts';
import type { ListedRow, Metastore } from '../ports/metastore.ts';

const PAGE = 1000;

/** The rows of a directory, a page at a time: what comes or goes while it is read may be met or not. */
export async function* allRows(
  metastore: Metastore,
  directory: InodeId,
  from?: Name,
): AsyncGenerator<ListedRow, void, void> {
  for (let after = from; ;) {
    const page = await metastore.list(directory, { ...(after !== undefined && { after }), limit: PAGE });
    yield* page;
    if (page.length < PAGE) return;
    after = page.at(-1)?.name;
  }
}
