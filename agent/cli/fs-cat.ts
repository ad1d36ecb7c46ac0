import { command } from './command.ts';
import { leatPath } from './location.ts';

const HELP = `
Writes the bytes of files to stdout, one after the other, through the cache. --json changes nothing here.

Errors: no such path, a directory, not permitted, the file changed while it was read (begin again), the store does not answer.

  leat fs cat /data/README | head
`;

export const fsCat = command({
  name: 'fs cat',
  usage: 'PATH…',
  takes: [1, 1000],
  summary: 'print the bytes of files',
  help: HELP,
  options: {},
  async run({ positionals, terminal, agent }) {
    const paths = positionals.map(leatPath);
    const client = agent();
    for (const path of paths) {
      const { body } = await client.content.$get({ query: { path } }, { init: { signal: terminal.signal } });
      if (body) await terminal.pipe(body);
    }
  },
});
