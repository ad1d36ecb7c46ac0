import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { LeatError } from '#shared/model/faults.ts';

const AgentFile = z.object({
  pid: z.int(),
  url: z.string(),
  token: z.string(),
  /** The mount point; absent when nothing is mounted. */
  at: z.string().optional(),
});

/** How commands find the running agent: `agent.json` in its data directory, readable by its user alone. */
export type AgentFile = z.infer<typeof AgentFile>;

/** No agent answers: exit code 3. */
export class NoAgentError extends LeatError {
  constructor(message: string, options?: ErrorOptions) {
    super('unavailable', message, options);
  }
}

export function writeAgentFile(data: string, agent: AgentFile): void {
  const file = join(data, 'agent.json');
  writeFileSync(`${file}.new`, `${JSON.stringify(agent)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export function removeAgentFile(data: string): void {
  rmSync(join(data, 'agent.json'), { force: true });
}

/** What the data directory says, which may be left over from an agent that was killed. */
export function findAgent(data: string): AgentFile {
  const file = resolve(data, 'agent.json');
  try {
    return AgentFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    const next = 'start one with `leat up`, or name the data directory of a running one with --data or LEAT_DATA';
    throw new NoAgentError(`no agent runs on ${resolve(data)} (${file} cannot be read): ${next}`, { cause });
  }
}
