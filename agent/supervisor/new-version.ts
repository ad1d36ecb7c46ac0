import { spawn } from 'node:child_process';
import { LeatError } from '#shared/model/faults.ts';

const PATIENCE_MS = 30_000;

/** Of the program on the disk, which is run for it: one that does not even say its version is not started in the place of this. */
export async function newVersion(): Promise<string> {
  const [script = ''] = process.argv.slice(1);
  const child = spawn(process.execPath, [...process.execArgv, script, '--version'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE_MS,
  });
  let said = '';
  let failed = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (failed += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  });
  const version = /^leat (\S+)/.exec(said)?.[1];
  if (code === 0 && version !== undefined) return version;
  const why = failed.trim().split('\n').at(-1) ?? '';
  throw new LeatError(
    'unsupported',
    `${script}: this program does not run (${why === '' ? `exit code ${code}` : why}); install it whole, and try again`,
  );
}
