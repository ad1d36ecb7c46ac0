import { LEAT_VERSION } from '../package.ts';
import { NoAgentError } from './agent-file.ts';
import { type Command, UsageError } from './command.ts';
import { commands } from './commands.ts';
import { helpOf, overview } from './help.ts';
import type { Terminal } from './terminal.ts';

const OK = 0;
const FAILED = 1;
const USAGE = 2;
const NO_AGENT = 3;
const INTERRUPTED = 130;

/** Runs one command line and answers the exit code. Everything that goes wrong is one line on stderr. */
export async function runCli(terminal: Terminal, argv: readonly string[]): Promise<number> {
  try {
    return await dispatch(terminal, argv);
  } catch (error) {
    if (terminal.signal.aborted) return INTERRUPTED;
    terminal.err(`leat: ${oneLine(error)}\n`);
    if (terminal.env['LEAT_DEBUG'] && error instanceof Error) terminal.err(`${error.stack ?? ''}\n`);
    if (error instanceof UsageError) return USAGE;
    return error instanceof NoAgentError ? NO_AGENT : FAILED;
  }
}

function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().replaceAll(/\s*\n\s*/g, ' ');
}

async function dispatch(terminal: Terminal, argv: readonly string[]): Promise<number> {
  const [first = 'help'] = argv;
  if (['help', '--help', '-h'].includes(first)) return help(terminal, argv.slice(1));
  if (first === '--version' || first === 'version') {
    terminal.out(`leat ${LEAT_VERSION}\n`);
    return OK;
  }
  const found = commandOf(argv);
  if (!found) throw unknown(argv);
  if (asksForHelp(found.rest)) terminal.out(helpOf(found.command));
  else await found.command.invoke(terminal, found.rest);
  return OK;
}

function help(terminal: Terminal, words: readonly string[]): number {
  const found = commandOf(words);
  if (words.length > 0 && !found) throw unknown(words);
  terminal.out(found ? helpOf(found.command) : overview(commands));
  return OK;
}

function unknown([first = '', second = '']: readonly string[]): UsageError {
  if (first.startsWith('-'))
    return new UsageError(`'${first}': options follow the command, as in \`leat info --json\``);
  const group = commands.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name);
  if (group.length > 0) {
    const what = second === '' ? `'${first}' goes on` : `there is no command '${first} ${second}'`;
    return new UsageError(`${what}; there are ${group.join(', ')}`);
  }
  const meant = commands.find(({ name }) => name === `fs ${first}`);
  const next = meant ? `did you mean \`leat ${meant.name}\`?` : '`leat help` lists them all';
  return new UsageError(`there is no command '${first}'; ${next}`);
}

function commandOf(argv: readonly string[]): { command: Command; rest: readonly string[] } | undefined {
  for (const words of [2, 1]) {
    const command = commands.find(({ name }) => name === argv.slice(0, words).join(' '));
    if (command) return { command, rest: argv.slice(words) };
  }
  return undefined;
}

function asksForHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--');
  return words.slice(0, end < 0 ? words.length : end).some((word) => word === '--help' || word === '-h');
}
