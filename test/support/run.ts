import { spawn, spawnSync } from 'node:child_process';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, without a shell and without blocking: a blocked test process could not end a hanging mount. */
export async function run(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    text.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    text.stderr += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, ...text };
}

/** Node cannot reach extended attributes, and few machines have `setfattr`; most have this. */
export const HAS_PYTHON = spawnSync('python3', ['--version']).status === 0;
