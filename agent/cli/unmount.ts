import { command } from './command.ts';
import { leatPath } from './location.ts';

const HELP = `
Detaches a store from its directory. What the store holds stays as it is; files of write type MUST_CACHE, which it does not hold,
go with the directory.

JSON: {"unmounted": PATH}.

Errors: no mount point there, busy (the store is still owed changes: see \`leat info\`; or files:
see \`leat fs recover\`).

  leat unmount /data
`;

export const unmount = command({
  name: 'unmount',
  usage: 'PATH',
  takes: [1, 1],
  summary: 'detach a store',
  help: HELP,
  options: {},
  async run({ positionals: [word = ''], agent, print }) {
    const path = leatPath(word);
    await agent().mounts.$delete({ query: { path } });
    print('', { unmounted: path });
  },
});
