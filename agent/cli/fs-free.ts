import { command } from './command.ts';
import { fileCount, humanBytes } from './format.ts';
import { leatPath } from './location.ts';

const HELP = `
Drops what this node has cached of a file, or of all files below a directory. Files that are open keep theirs until they are
closed; the next read fetches anew. Nothing is removed from the store.

JSON, a line per path: {path, files, bytes}, what was dropped.

  leat fs free /data/train
`;

export const fsFree = command({
  name: 'fs free',
  usage: 'PATH…',
  takes: [1, 1000],
  summary: 'drop files from the cache',
  help: HELP,
  options: {},
  async run({ positionals, agent, print }) {
    const paths = positionals.map(leatPath);
    const client = agent();
    for (const path of paths) {
      const freed = await (await client.content.free.$post({ json: { path } })).json();
      print(`${path}: ${fileCount(freed.files)}, ${humanBytes(freed.bytes)} dropped\n`, { path, ...freed });
    }
  },
});
