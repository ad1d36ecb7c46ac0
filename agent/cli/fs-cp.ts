import { LeatError } from '#shared/model/faults.ts';
import { command } from './command.ts';
import { type Place, copy } from './copy.ts';
import { fileCount, humanBytes } from './format.ts';
import { leatSide } from './leat-side.ts';
import { localSide } from './local-side.ts';
import { LOCATION_HELP, location } from './location.ts';

const HELP = `
Copies files between this machine and Leat, or within Leat; into TARGET if that is a directory.
${LOCATION_HELP}
Existing files are replaced, each whole or not at all. Modes are kept; times with -p; owners are not. With -r symlinks are
copied as symlinks, without -r what they point to is. Devices, sockets and pipes are left out.

JSON, a line per file, directory or symlink made: {path, kind, size}; sizes are bytes.

Errors: no such path, a directory without -r or into itself, a read-only mount, no store mounted there, no space.

  leat fs cp -r ./photos /data/photos
  leat fs cp /data/model.bin ./
`;

export const fsCp = command({
  name: 'fs cp',
  usage: 'SOURCE… TARGET',
  takes: [2, 1000],
  summary: 'copy files to, from and within Leat',
  help: HELP,
  options: {
    recursive: { type: 'boolean', short: 'r', help: 'directories with all below' },
    preserve: { type: 'boolean', short: 'p', help: 'keep modification times' },
  },
  async run({ positionals, values, terminal, agent, print }) {
    const locations = positionals.map(location);
    const sides = { local: localSide(), leat: leatSide(agent(), terminal.signal) };
    const places = locations.map(({ side, path }): Place => ({ side: sides[side], path }));
    const target = places.pop() as Place;
    const into = (await target.side.stat(target.path, { follow: true }))?.kind === 'directory';
    if (places.length > 1 && !into) {
      throw new LeatError('notDirectory', `${target.path} must be a directory to take ${places.length} sources`);
    }
    let files = 0;
    let bytes = 0;
    for (const from of places) {
      await copy(from, into ? inside(target, from) : target, {
        recursive: values.recursive ?? false,
        keepTimes: values.preserve ?? false,
        copied(path, { kind, size }) {
          if (kind === 'file') files++;
          bytes += size;
          print('', { path, kind, size });
          if (terminal.watched && !values.json)
            terminal.err(`\r\u001B[K${fileCount(files)}, ${humanBytes(bytes)} copied`);
        },
      });
    }
    if (terminal.watched && !values.json) terminal.err('\n');
  },
});

function inside(target: Place, from: Place): Place {
  const name = from.path.slice(from.path.lastIndexOf('/') + 1);
  return { side: target.side, path: `${target.path === '/' ? '' : target.path}/${name}` };
}
