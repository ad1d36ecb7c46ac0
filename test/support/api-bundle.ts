import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { build } from 'esbuild';
import type { Called } from './function-caller.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const CALLER = new URL('./function-caller.ts', import.meta.url).pathname;

export interface Bundle {
  readonly file: string;
  readonly bytes: number;
  /** Bytes that packages and rooms put into it. */
  readonly shares: ReadonlyMap<string, number>;
}

/** The function `api` as the stack bundles it (`cdk/leat-function.ts`). */
export async function bundleApi(dir: string): Promise<Bundle> {
  const file = join(dir, 'index.mjs');
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['functions/handlers/api.ts'],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    mainFields: ['module', 'main'],
    minify: true,
    sourcemap: 'external',
    sourcesContent: false,
    banner: { js: `import{createRequire}from'node:module';const require=createRequire(import.meta.url);` },
    metafile: true,
    logLevel: 'warning',
  });
  const shares = new Map<string, number>();
  for (const { inputs } of Object.values(metafile.outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(inputs)) {
      const share = /node_modules\/(@[^/]+\/[^/]+|[^/]+)/.exec(input)?.[1] ?? input.split('/')[0] ?? input;
      shares.set(share, (shares.get(share) ?? 0) + bytesInOutput);
    }
  }
  return { file, bytes: statSync(file).size, shares };
}

/** Starts a function in a process of its own, as for a cold start, and asks it `warm` times more of each kind. */
export async function called(bundle: Bundle, env: Record<string, string>, warm: number): Promise<Called> {
  const args = ['--enable-source-maps', CALLER, bundle.file, String(warm)];
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, complaint] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  const last = out.trim().split('\n').at(-1);
  if (child.exitCode !== 0 || last === undefined)
    throw new Error(`the function ended with ${child.exitCode}: ${complaint}`);
  return JSON.parse(last) as Called;
}
