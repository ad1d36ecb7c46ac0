import { runCli } from './run.ts';
import { processTerminal } from './terminal.ts';

process.exitCode = await runCli(processTerminal(), process.argv.slice(2));
