import { isFault, LeatError } from '#shared/model/faults.ts';
import type { Client } from './client.ts';
import { command } from './command.ts';
import { leatPath } from './location.ts';

const HELP = `
Removes files and symlinks; with -d empty directories; with -r directories and all below, at once whatever their size.
Objects are removed from the store behind; a mount point is never removed (leat unmount).

JSON, a line per path: {"removed": PATH}.

Errors: no such path (not with -f), a directory without -r, not empty, a read-only mount, busy (a mount point).

  leat fs rm -r /data/old
`;

export const fsRm = command({
  name: 'fs rm',
  usage: 'PATH…',
  takes: [1, 1000],
  summary: 'remove files and trees',
  help: HELP,
  options: {
    recursive: { type: 'boolean', short: 'r', help: 'directories and all below' },
    directory: { type: 'boolean', short: 'd', help: 'empty directories' },
    force: { type: 'boolean', short: 'f', help: 'what is not there is no error' },
  },
  async run({ positionals, values, agent, print }) {
    const paths = positionals.map(leatPath);
    const client = agent();
    for (const path of paths) {
      try {
        await remove(client, path, values);
        print('', { removed: path });
      } catch (error) {
        if (!values.force || !isFault(error, 'notFound')) throw error;
      }
    }
  },
});

async function remove(
  client: Client,
  path: string,
  { recursive, directory }: { recursive?: boolean | undefined; directory?: boolean | undefined },
): Promise<void> {
  const { kind } = await (await client.files.$get({ query: { path } })).json();
  if (kind !== 'directory') await client.files.$delete({ query: { path, kind: 'file' } });
  else if (recursive) await client.files.$delete({ query: { path, kind: 'tree' } });
  else if (directory) await client.files.$delete({ query: { path, kind: 'directory' } });
  else throw new LeatError('isDirectory', `${path} is a directory; -r removes it with all below, -d if it is empty`);
}
