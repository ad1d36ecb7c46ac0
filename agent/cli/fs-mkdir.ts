import { command, UsageError } from './command.ts';
import { leatPath } from './location.ts';

const HELP = `
Makes directories. -p makes those above as well, and what is there already is no error.

JSON, a line per directory: as \`leat fs stat --json\`.

Errors: it exists, no such directory above, a read-only mount, not permitted.

  leat fs mkdir -p /data/2026/11
`;

export const fsMkdir = command({
  name: 'fs mkdir',
  usage: 'PATH…',
  takes: [1, 1000],
  summary: 'make directories',
  help: HELP,
  options: {
    parents: { type: 'boolean', short: 'p', help: 'make those above, too' },
    mode: { type: 'string', short: 'm', value: 'OCTAL', help: 'permissions (default: 755)' },
  },
  async run({ positionals, values, agent, print }) {
    const mode = parseMode(values.mode ?? '755');
    const paths = positionals.map(leatPath);
    const client = agent();
    for (const path of paths) {
      const json = { kind: 'directory' as const, path, mode, parents: values.parents ?? false };
      print('', await (await client.files.$post({ json })).json());
    }
  },
});

function parseMode(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text)) throw new UsageError(`'${text}': a mode is one to four octal digits, as in 755`);
  return Number.parseInt(text, 8);
}
