import { isFault, LeatError } from '#shared/model/faults.ts';
import type { Client } from './client.ts';
import { command } from './command.ts';
import { leatPath } from './location.ts';

const HELP = `
Renames a file or directory, of any size at once; into TARGET if that is a directory. An existing file is replaced
(not with -n). Objects are moved in the store behind; meanwhile everything is readable under its new name.

JSON, a line per source: as \`leat fs stat --json\`, at its new path.

Errors: no such path, a directory that is not empty in the way, into itself, between two stores (copy instead: leat fs cp -r).

  leat fs mv /data/new /data/current
`;

export const fsMv = command({
  name: 'fs mv',
  usage: 'SOURCE… TARGET',
  takes: [2, 1000],
  summary: 'rename files and directories',
  help: HELP,
  options: { 'no-replace': { type: 'boolean', short: 'n', help: 'refuse when the target exists' } },
  async run({ positionals, values, agent, print }) {
    const paths = positionals.map(leatPath);
    const client = agent();
    const target = paths.pop() ?? '/';
    const into = await isDirectory(client, target);
    if (paths.length > 1 && !into)
      throw new LeatError('notDirectory', `${target} must be a directory to take ${paths.length} sources`);
    for (const from of paths) {
      const to = into ? `${target === '/' ? '' : target}/${from.slice(from.lastIndexOf('/') + 1)}` : target;
      const json = { from, to, noReplace: values['no-replace'] ?? false };
      print('', await (await client.files.rename.$post({ json })).json());
    }
  },
});

async function isDirectory(client: Client, path: string): Promise<boolean> {
  try {
    const { kind } = await (await client.files.$get({ query: { path, follow: 'true' } })).json();
    return kind === 'directory';
  } catch (error) {
    if (isFault(error, 'notFound')) return false;
    throw error;
  }
}
