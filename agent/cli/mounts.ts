import type { MountInfo } from '#functions/api/mounts.ts';
import { command } from './command.ts';

const HELP = `
Shows which store is joined to which directory. Values of secret options are not shown.

JSON, a line per mount: {id, path, uri, readOnly, syncIntervalMs, options}.
`;

export const mounts = command({
  name: 'mounts',
  usage: '',
  takes: [0, 0],
  summary: 'list the mounted stores',
  help: HELP,
  options: {},
  async run({ agent, print }) {
    const { mounts: all } = await (await agent().mounts.$get()).json();
    for (const mount of all) print(`${mountLine(mount)}\n`, mount);
  },
});

export function mountLine({ path, uri, readOnly, syncIntervalMs }: MountInfo): string {
  const notes = [readOnly ? 'read-only' : '', syncIntervalMs < 0 ? '' : `sync ${syncIntervalMs / 1000}s`].filter(
    Boolean,
  );
  return `${path.padEnd(20)} ${uri}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`;
}
