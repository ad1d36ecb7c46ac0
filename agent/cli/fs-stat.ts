import type { FileInfo } from '#functions/api/file-info.ts';
import { command } from './command.ts';
import { humanBytes, modeText, timeText } from './format.ts';
import { leatPath } from './location.ts';

const HELP = `
Shows everything that is known of files, directories and symlinks (not what a symlink points to).

JSON, a line per path: as \`leat fs ls --json\`, with xattrs, and storeKey: its key in the store, relative to the mount.

Errors: no such path, not permitted, the store does not answer.

  leat fs stat /data/train.bin
`;

export const fsStat = command({
  name: 'fs stat',
  usage: 'PATH…',
  takes: [1, 1000],
  summary: 'show all attributes of files',
  help: HELP,
  options: {},
  async run({ positionals, agent, print }) {
    const paths = positionals.map(leatPath);
    const client = agent();
    for (const [i, path] of paths.entries()) {
      const info: FileInfo = await (await client.files.$get({ query: { path } })).json();
      print(`${i > 0 ? '\n' : ''}${statText(info)}`, info);
    }
  },
});

/** Major and minor number, as `ls -l` prints them. Linux spreads their bits over the one number. */
function deviceText(device: number): string {
  return `${(device >>> 8) & 0xfff}, ${(device & 0xff) | ((device >>> 12) & 0xfff00)}`;
}

function statText(info: FileInfo): string {
  const lines: [string, string | undefined][] = [
    ['path', info.path],
    ['kind', info.kind],
    ['size', info.kind === 'file' ? `${info.size} bytes (${humanBytes(info.size)})` : undefined],
    [
      'cached',
      info.cachedBytes === undefined ? undefined : `${info.cachedBytes} bytes (${humanBytes(info.cachedBytes)})`,
    ],
    ['mode', `${modeText(info.kind, info.mode)} (${info.mode.toString(8).padStart(4, '0')})`],
    ['owner', `${info.uid}:${info.gid}`],
    ['modified', `${timeText(info.mtimeNs)} UTC`],
    ['changed', `${timeText(info.ctimeNs)} UTC`],
    ['inode', `${info.inode}, generation ${info.generation}`],
    ['names', info.links === 1 ? undefined : String(info.links)],
    ['device', info.device === undefined ? undefined : deviceText(info.device)],
    ['target', info.target],
    ['store key', info.storeKey],
    ['fingerprint', info.fingerprint],
    ...Object.entries(info.xattrs ?? {}).map(([name, value]): [string, string] => [name, JSON.stringify(value)]),
  ];
  return lines.map(([name, value]) => (value === undefined ? '' : `${name.padEnd(12)}${value}\n`)).join('');
}
