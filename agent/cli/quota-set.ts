import { parseBytes, parseNumber } from '#shared/config/parse.ts';
import { command, usage, UsageError } from './command.ts';
import { leatPath } from './location.ts';
import { quotaLine } from './quota-ls.ts';

const HELP = `
Limits what may lie below a directory, in its whole tree: the bytes of files, entries (files, directories, and all else that has
a name), or both. It takes the place of the quota that the directory had; what is not given has no limit any more. What lies
there already is counted first, which takes some seconds for a million entries; it may be more than the limit, and then only
nothing is added. Where quotas lie in one another, all hold.

Whoever goes over gets EDQUOT, "Disk quota exceeded". \`df\` in the directory shows the limit and what is left of it.

The size of a file counts, holes and all; of one with several names at the first of them. What a store has that nobody has
listed yet is counted when it is listed, whatever the limit is.

JSON: {path, bytes, entries, usedBytes, usedEntries}; a limit that is absent is none.

Errors: no such directory, not permitted (only root and the user who runs the agent may).

  leat quota set /scratch/anna --bytes 500GiB --entries 1000000
`;

export const quotaSet = command({
  name: 'quota set',
  usage: 'PATH',
  takes: [1, 1],
  summary: 'limit what may lie below a directory',
  help: HELP,
  options: {
    bytes: { type: 'string', value: 'SIZE', help: 'of all files together: 4096, 500MB, 16GiB' },
    entries: { type: 'string', value: 'N', help: 'files, directories and all else' },
  },
  async run({ positionals: [word = ''], values, agent, print }) {
    const { bytes, entries } = values;
    if (bytes === undefined && entries === undefined)
      throw new UsageError('give --bytes, --entries or both; `leat quota rm` takes a quota away');
    const json = {
      path: leatPath(word),
      ...(bytes !== undefined && { bytes: usage(() => parseBytes(bytes), '--bytes') }),
      ...(entries !== undefined && { entries: usage(() => parseNumber(entries), '--entries') }),
    };
    const set = await (await agent().quotas.$put({ json })).json();
    print(`${quotaLine(set)}\n`, set);
  },
});
