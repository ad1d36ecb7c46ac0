import { LeatError } from '#shared/model/faults.ts';
import { command } from './command.ts';
import { fileCount, humanBytes } from './format.ts';
import { leatPath } from './location.ts';
import { type LoadEvent, loadEvents } from './load-events.ts';

const HELP = `
Caches a file, or all files below a directory, so that they are read at the speed of the local disk. A file that fails does
not stop the others; each is named on stderr, and the exit code is then 1. Ctrl-C stops; what is cached stays.

JSON, lines as it goes: {filesFound, filesLoaded, bytesFound, bytesLoaded, filesFailed}, and {path, kind, message} for a
file that failed. Sizes are bytes.

Errors: no such path, the cache is too small for all (see \`leat info\` and cache.size), the store does not answer.

  leat fs load /data/train
`;

export const fsLoad = command({
  name: 'fs load',
  usage: 'PATH…',
  takes: [1, 1000],
  summary: 'cache files before they are read',
  help: HELP,
  options: {},
  async run({ positionals, values, terminal, agent, print }) {
    const paths = positionals.map(leatPath);
    const client = agent();
    for (const path of paths) {
      const { body } = await client.content.load.$post({ json: { path } }, { init: { signal: terminal.signal } });
      let last: LoadEvent | undefined;
      for await (const event of loadEvents(body)) {
        if (values.json) print('', event);
        else if ('path' in event) terminal.err(`leat: ${event.path}: ${event.message}\n`);
        else if (terminal.watched) terminal.err(`\r\u001B[K${progressText(event)}`);
        if (!('path' in event)) last = event;
      }
      if (terminal.watched && !values.json) terminal.err('\r\u001B[K');
      if (!last || 'path' in last) throw new LeatError('unavailable', `loading ${path} ended early; run it again`);
      if (!values.json) print(`${path}: ${progressText(last)}\n`, last);
      if (last.filesFailed > 0)
        throw new LeatError('unavailable', `${fileCount(last.filesFailed)} below ${path} could not be cached`);
    }
  },
});

function progressText({
  filesLoaded,
  filesFound,
  bytesLoaded,
  bytesFound,
}: Exclude<LoadEvent, { path: string }>): string {
  return `${filesLoaded} of ${fileCount(filesFound)}, ${humanBytes(bytesLoaded)} of ${humanBytes(bytesFound)} cached`;
}
