import { command } from './command.ts';
import { leatPath } from './location.ts';

const HELP = `
Takes the quota of a directory away. What lies there stays, and so do quotas of directories above and below.

JSON: {"removed": PATH}.

Errors: no such directory, it has no quota of its own, not permitted.

  leat quota rm /scratch/anna
`;

export const quotaRm = command({
  name: 'quota rm',
  usage: 'PATH',
  takes: [1, 1],
  summary: 'take a quota away',
  help: HELP,
  options: {},
  async run({ positionals: [word = ''], agent, print }) {
    const path = leatPath(word);
    await agent().quotas.$delete({ query: { path } });
    print('', { removed: path });
  },
});
