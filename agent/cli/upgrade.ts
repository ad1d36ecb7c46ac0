import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentInfo } from '#functions/api/agent.ts';
import { LeatError } from '#shared/model/faults.ts';
import { findAgent, NoAgentError } from './agent-file.ts';
import { connect } from './client.ts';
import { command } from './command.ts';

const POLL_MS = 50;
const PATIENCE_MS = 60_000;

const HELP = `
Starts the agent anew from the program that is on the disk now, without an end of its mount: install the new version first. What
programs have open stays open, and what they ask meanwhile waits until the new agent serves. The new program is tried before the
old agent goes.

JSON: {"from": VERSION, "to": VERSION, "pid": PID}.

Errors: no agent runs there; the new program does not run; the mount is by fuse.driver=libfuse, which ends with its agent; the
new agent does not serve within ${PATIENCE_MS / 1000} seconds, while its supervisor goes on trying.
`;

export const upgrade = command({
  name: 'upgrade',
  usage: '',
  takes: [0, 0],
  summary: 'let a newly installed program take over a mount in use',
  help: HELP,
  options: {},
  async run({ data, agent, print }) {
    const { pid: before } = findAgent(data);
    const { from } = await (await agent().agent.upgrade.$post()).json();
    const { version: to, pid } = await successorOf(data, before);
    print(`upgraded from ${from} to ${to} (pid ${pid})\n`, { from, to, pid });
  },
});

async function successorOf(data: string, before: number): Promise<AgentInfo> {
  for (let waited = 0; waited < PATIENCE_MS; waited += POLL_MS) {
    const now = findAgent(data);
    if (now.pid !== before) {
      try {
        return await (await connect(now).agent.$get()).json();
      } catch (error) {
        if (!(error instanceof NoAgentError)) throw error;
      }
    }
    await sleep(POLL_MS);
  }
  const next = 'see its log; its supervisor goes on trying, and the mount waits';
  throw new LeatError('unavailable', `the new agent does not serve within ${PATIENCE_MS / 1000} s: ${next}`);
}
