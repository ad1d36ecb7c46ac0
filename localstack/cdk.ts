import { spawn } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LeatError } from '#shared/model/faults.ts';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CLI = fileURLToPath(import.meta.resolve('aws-cdk/bin/cdk'));
const OUTPUT_CHARS_MAX = 64 * 1024;
const TAIL_CHARS = 4000;
/** A deployment that waits for what never comes says nothing. */
const TIMEOUT_MS = 300_000;
/** What would lead the CLI, or the app, to an account, away from this machine, or to another stack. */
const STRAY = /^(AWS_|CDK_|LEAT_STACK_)/;

/** The CLI of the CDK, in a process of its own; throws with what it said. */
export async function cdk(args: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
  const inherited = Object.entries(process.env).filter(([name]) => !STRAY.test(name));
  const child = spawn(process.execPath, [CLI, '--no-notices', ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    env: {
      ...Object.fromEntries(inherited),
      // The CLI starts the app as `node`: the one that runs this.
      PATH: [dirname(process.execPath), join(ROOT, 'node_modules', '.bin'), process.env['PATH']].join(delimiter),
      CDK_DISABLE_CLI_TELEMETRY: '1',
      CI: 'true',
      ...env,
    },
  });
  let said = '';
  const hear = (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code === 0) return;
  throw new LeatError(
    'unavailable',
    `cdk ${args[0]} ${code === null ? `did not end within ${TIMEOUT_MS} ms` : `ended with ${code}`}; it said:\n${said.slice(-TAIL_CHARS)}`,
  );
}
