import { setTimeout as sleep } from 'node:timers/promises';
import { LeatError } from '#shared/model/faults.ts';
import { command } from './command.ts';
import { humanBytes } from './format.ts';

const LOOKS_MAX = 20;
const PAUSE_MS = 250;

const HELP = `
Shows the files that were written at this agent and are not in their store yet, and tries again at once what could not be
stored; waits some seconds for it. Nothing that was written is ever dropped: after a crash the agent finishes it by itself.

  open      somebody has it open for writing
  waiting   for its store; the reason is that of the last try
  lost      no entry leads to it any more: copy its bytes from where it says, on the machine of the agent

A content that somebody else has replaced in the store meanwhile is kept beside it, as NAME.conflict-TIME.

JSON: {"files": [{path, bytes, state, reason, local}]}. Exit code 1 when something waits or is lost.
`;

export const fsRecover = command({
  name: 'fs recover',
  usage: '',
  takes: [0, 0],
  summary: 'show and finish what was written and is not stored',
  help: HELP,
  options: {},
  async run({ agent, print }) {
    const { written } = agent().content;
    const look = async () => (await (await written.$get()).json()).files;
    await written.retry.$post();
    let files = await look();
    for (let i = 0; i < LOOKS_MAX && files.some(({ state }) => state === 'waiting'); i++) {
      await sleep(PAUSE_MS);
      files = await look();
    }
    const lines = files.map(({ path, bytes, state, reason, local }) => {
      const words = [state.padEnd(8), humanBytes(bytes).padStart(10), path ?? local, reason ?? ''];
      return `${words.join('  ').trimEnd()}\n`;
    });
    print(lines.length === 0 ? 'everything that was written is stored\n' : lines.join(''), { files });
    const left = files.filter(({ state }) => state !== 'open').length;
    if (left > 0) throw new LeatError('unavailable', `${left} of them wait or are lost; see above`);
  },
});
