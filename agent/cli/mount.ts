import { command } from './command.ts';
import { leatPath } from './location.ts';
import { mountLine } from './mounts.ts';
import { storeOptionLines } from './store-options.ts';
import { MOUNT_OPTIONS, URI_HELP, mountSettings, parseUri } from './stores.ts';

const HELP = `
Joins a store to a directory of the namespace, which is made if absent and must be empty.
${URI_HELP}
The store is asked before anything is changed, so wrong names and credentials show at once. Mounts last across restarts.

JSON: {id, path, uri, readOnly, syncIntervalMs, options}; options that are secret are not shown.

Errors: not an URI, no such bucket or folder, refused credentials, the directory is not empty or a mount point already.

Options of stores, for --option, with their defaults:
${storeOptionLines()}

  leat mount /data s3://bucket/prefix --option s3.region=eu-central-1 --sync 5m
`;

export const mount = command({
  name: 'mount',
  usage: 'PATH URI',
  takes: [2, 2],
  summary: 'join a store to a directory',
  help: HELP,
  options: MOUNT_OPTIONS,
  async run({ positionals: [path = '', uri = ''], values, agent, print }) {
    const json = { path: leatPath(path), uri: parseUri(uri), ...mountSettings(values) };
    const mounted = await (await agent().mounts.$post({ json })).json();
    print(`${mountLine(mounted)}\n`, mounted);
  },
});
