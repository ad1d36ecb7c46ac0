import { writeSync } from 'node:fs';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { lmdbMetastore } from '#agent/embedded/lmdb-metastore.ts';
import { inodeNumber, ROOT } from '#shared/model/ids.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { Change } from '#shared/ports/metastore.ts';

/**
 * A process to be killed: commits groups of rows with new ids, several at a time, and says which have answered, one a line.
 * `node committer.ts DIR relaxed|strict PREFIX`
 */
const [dir = '', durability, prefix = ''] = process.argv.slice(2);
const IN_FLIGHT = 16;
const GROUP = 3;

const metastore = lmdbMetastore({
  dir,
  feed: localFeed(),
  clock: Date.now,
  durability: durability === 'strict' ? 'strict' : 'relaxed',
});

function row(): Inode {
  const id = metastore.newId();
  const time = 1n;
  const plain = { mode: 0o644, uid: 0, gid: 0, size: 0, atime: time, mtime: time, ctime: time };
  return { kind: 'file', id, ...plain, version: 1, generation: 1 };
}

let next = 0;
async function commitForever(): Promise<never> {
  for (;;) {
    const group = `${prefix}-${next++}`;
    const rows = Array.from({ length: GROUP }, row);
    const changes = rows.map((each, i): Change => ({
      act: 'put',
      key: { directory: ROOT, name: `${group}-${i}` as Name },
      when: 'absent',
      row: each,
    }));
    const { committed } = await metastore.commit(changes);
    if (!committed) throw new Error(`${group} was there already`);
    // One write to a pipe: the line is whole or not there.
    writeSync(1, `${group} ${rows.map(({ id }) => inodeNumber(id)).join(' ')}\n`);
  }
}

await Promise.all(Array.from({ length: IN_FLIGHT }, commitForever));
