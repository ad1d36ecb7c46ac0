import type { Command, Options } from './command.ts';

const GROUPS = [
  { title: 'The agent', has: (name: string) => ['up', 'down', 'upgrade', 'info'].includes(name) },
  { title: 'Stores', has: (name: string) => name.includes('mount') },
  { title: 'Files', has: (name: string) => name.startsWith('fs ') || name === 'events' },
  { title: 'Quotas', has: (name: string) => name.startsWith('quota ') },
  { title: 'The cloud', has: (name: string) => name === 'cost' },
];

const EXIT_CODES = `Exit codes:
  0  done
  1  refused or failed; one line on stderr says what and what to do next
  2  wrong words on the command line
  3  no agent answers
  130  interrupted`;

/** What `leat help` prints: made of the registry, so it cannot forget a command. */
export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2;
  const lines = GROUPS.flatMap(({ title, has }) => [
    `${title}:`,
    ...commands.filter(({ name }) => has(name)).map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`),
    '',
  ]);
  return `leat: one namespace over S3 and NAS, a POSIX mount, data cached where it is read.

Usage: leat COMMAND [OPTIONS] …    \`leat COMMAND --help\` says all about one.

${lines.join('\n')}
${EXIT_CODES}
`;
}

/** What `leat COMMAND --help` prints. */
export function helpOf({ name, usage, summary, help, options }: Command): string {
  return `leat ${name}: ${summary}

Usage: leat ${name} [OPTIONS] ${usage}

${help.trim()}

Options:
${optionLines(options)}

${EXIT_CODES}
`;
}

function optionLines(options: Options): string {
  const rows = Object.entries(options).map(([name, { short, value, help }]) => ({
    left: `  ${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`,
    help,
  }));
  const width = Math.max(...rows.map(({ left }) => left.length)) + 2;
  return rows.map(({ left, help }) => left.padEnd(width) + help).join('\n');
}
