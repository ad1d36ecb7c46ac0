import { setTimeout as sleep } from 'node:timers/promises';
import { LeatError } from '#shared/model/faults.ts';
import { type AgentFile, findAgent } from './agent-file.ts';
import { command } from './command.ts';

const POLL_MS = 50;
const PATIENCE_MS = 60_000;

const HELP = `
Stops the agent of a data directory: unmounts, finishes what is under way, and waits until it has ended. The cache and the
namespace stay for the next \`leat up\`.

JSON: {"stopped": PID}.

Errors: no agent runs there; the mount is busy (the agent says by whom, and goes on).
`;

export const down = command({
  name: 'down',
  usage: '',
  takes: [0, 0],
  summary: 'stop the running agent',
  help: HELP,
  options: {},
  async run({ data, agent, print }) {
    const { pid } = findAgent(data);
    await agent().agent.stop.$post();
    await gone(data, pid);
    print(`stopped the agent (pid ${pid})\n`, { stopped: pid });
  },
});

/** The agent takes its file away as the last thing it does. */
async function gone(data: string, pid: number): Promise<void> {
  for (let waited = 0; waited < PATIENCE_MS; waited += POLL_MS) {
    if (agentOf(data)?.pid !== pid) return;
    await sleep(POLL_MS);
  }
  const next = 'see its log for what it waits for; kill it to force it';
  throw new LeatError('busy', `the agent (pid ${pid}) has not ended within ${PATIENCE_MS / 1000} s: ${next}`);
}

function agentOf(data: string): AgentFile | undefined {
  try {
    return findAgent(data);
  } catch {
    return undefined;
  }
}
