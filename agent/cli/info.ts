import type { AgentInfo } from '#functions/api/agent.ts';
import { command } from './command.ts';
import { fileCount, humanBytes } from './format.ts';
import { mountLine } from './mounts.ts';

const HELP = `
Shows the running agent: where the namespace is mounted, which stores, how full the cache is and how well it serves, and what
the stores are still owed (uploads, removals, moves) or refused.

JSON: {version, pid, startedAt, at, fuseMissing, data, metastore, mounts, cache, owed}; startedAt in milliseconds since the
epoch, sizes in bytes.
`;

export const info = command({
  name: 'info',
  usage: '',
  takes: [0, 0],
  summary: 'show the running agent',
  help: HELP,
  options: {},
  async run({ agent, print }) {
    const answer = await (await agent().agent.$get()).json();
    print(infoText(answer), answer);
  },
});

function infoText({ version, pid, at, fuseMissing, data, metastore, mounts, cache, owed }: AgentInfo): string {
  const { hitBytes, fetchedBytes, usedBytes, dirtyBytes, capacityBytes, files } = cache;
  const lines = [
    `agent     ${version}, pid ${pid}, ${metastore} metastore, data in ${data}`,
    `mounted   ${at ?? `nowhere: ${fuseMissing ?? 'by choice'}`}`,
    ...mounts.map((mount, i) => `${i === 0 ? 'stores' : ''}`.padEnd(10) + mountLine(mount)),
    `cache     ${humanBytes(usedBytes)} of ${humanBytes(capacityBytes)} in ${fileCount(files)}`,
    `written   ${humanBytes(dirtyBytes)} that are only here`,
    `read      ${humanBytes(hitBytes)} from the cache, ${humanBytes(fetchedBytes)} fetched from stores`,
    `owed      ${owed.pending === 1 ? '1 change' : `${owed.pending} changes`} on the way to stores`,
    ...owed.failed.map(({ what, reason }) => `failed    ${what}: ${reason}`),
  ];
  return lines.map((line) => `${line}\n`).join('');
}
