import type { QuotaInfo } from '#functions/api/quotas.ts';
import { command } from './command.ts';
import { humanBytes } from './format.ts';
import { leatPath } from './location.ts';

const HELP = `
Shows the quotas of a directory (by default /) and of all directories below it, and how much of them is used. Without a cloud
that is exact; in a cloud it lags as the feed of changes does, and is put right by walks through the tree now and then.

JSON, a line per quota: {path, bytes, entries, usedBytes, usedEntries}; a limit that is absent is none.

Errors: no such directory, not permitted.

  leat quota ls /scratch
`;

export const quotaLs = command({
  name: 'quota ls',
  usage: '[PATH]',
  takes: [0, 1],
  summary: 'list quotas and what is used of them',
  help: HELP,
  options: {},
  async run({ positionals: [word = '/'], agent, print }) {
    const { quotas } = await (await agent().quotas.$get({ query: { path: leatPath(word) } })).json();
    for (const quota of quotas) print(`${quotaLine(quota)}\n`, quota);
  },
});

export function quotaLine({ path, bytes, entries, usedBytes, usedEntries }: QuotaInfo): string {
  const ofBytes = `${humanBytes(usedBytes)}${bytes === undefined ? '' : ` of ${humanBytes(bytes)}`}`;
  const ofEntries = `${usedEntries}${entries === undefined ? '' : ` of ${entries}`} entries`;
  return `${path.padEnd(20)} ${ofBytes}, ${ofEntries}`;
}
