import { parseArgs } from 'node:util';
import { isFault, LeatError } from '#shared/model/faults.ts';
import { findAgent } from './agent-file.ts';
import { type Client, connect } from './client.ts';
import type { Terminal } from './terminal.ts';

interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** What stands for the value in help: `DIR`. */
  readonly value?: string;
  readonly help: string;
}
export type Options = Readonly<Record<string, Option>>;

export const DATA_DEFAULT = './.leat';

/** Every command has these. */
const COMMON_OPTIONS = {
  data: { type: 'string', value: 'DIR', help: `the agent's data directory (default: LEAT_DATA, else ${DATA_DEFAULT})` },
  json: { type: 'boolean', help: 'print JSON, one value a line' },
  help: { type: 'boolean', short: 'h', help: 'show this help' },
} as const satisfies Options;

type Values<Own extends Options> = ReturnType<
  typeof parseArgs<{ options: Own & typeof COMMON_OPTIONS; allowPositionals: true }>
>['values'];

/** What a command is given to run with. */
export interface Invocation<Own extends Options> {
  readonly terminal: Terminal;
  readonly values: Values<Own>;
  readonly positionals: readonly string[];
  readonly data: string;
  /** The client of the agent that runs on `data`; `unavailable` when there is none. */
  readonly agent: () => Client;
  /** For people, or with --json for programs. */
  readonly print: (text: string, json: unknown) => void;
}

interface Spec<Own extends Options> {
  /** As typed after `leat`: `fs ls`. */
  readonly name: string;
  /** The positionals: `PATH…`. */
  readonly usage: string;
  /** How many positionals there must be: at least, at most. */
  readonly takes: readonly [min: number, max: number];
  /** One line for the list of commands. */
  readonly summary: string;
  /** Shapes, units, errors, examples. */
  readonly help: string;
  readonly options: Own;
  run(invocation: Invocation<Own>): Promise<void>;
}

/** A command as the registry holds it: what it says of itself, and how it is run. */
export interface Command {
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  readonly help: string;
  readonly options: Options;
  invoke(terminal: Terminal, argv: readonly string[]): Promise<void>;
}

/** Wrong words on the command line, exit code 2. */
export class UsageError extends Error {}

/** What cannot be parsed of the command line is a wrong word, and `where` says which. */
export function usage<Value>(parse: () => Value, where = ''): Value {
  try {
    return parse();
  } catch (error) {
    if (!isFault(error, 'invalid', 'nameTooLong')) throw error;
    throw new UsageError(`${where === '' ? '' : `${where}: `}${error.message}`, { cause: error });
  }
}

/** Binds a command's options to its code, so that each file sees its own values typed. */
export function command<const Own extends Options>(spec: Spec<Own>): Command {
  const options = { ...spec.options, ...COMMON_OPTIONS };
  return {
    ...spec,
    options,
    async invoke(terminal, argv) {
      const { values, positionals } = parsed(spec.name, options, argv);
      const [min, max] = spec.takes;
      if (positionals.length < min || positionals.length > max) {
        const words = `leat ${spec.name} ${spec.usage}`.trimEnd();
        throw new UsageError(`write \`${words}\`; see \`leat ${spec.name} --help\``);
      }
      const { data: given, json } = values as { data?: string; json?: boolean };
      const data = given ?? terminal.env['LEAT_DATA'] ?? DATA_DEFAULT;
      await spec.run({
        terminal,
        values: values as Values<Own>,
        positionals,
        data,
        agent: () => connect(findAgent(data)),
        print: (text, value) => terminal.out(json ? `${JSON.stringify(value)}\n` : text),
      });
    },
  };
}

function parsed(name: string, options: Options, argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    if (error instanceof LeatError) throw error;
    // Node's hint on how to pass a positional that starts with a dash is longer than the usage and adds nothing to it.
    const [reason] = (error instanceof Error ? error.message : String(error)).split('. ');
    throw new UsageError(`${reason}; see \`leat ${name} --help\``);
  }
}
