import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { cdk, ROOT } from './cdk.ts';

const CACHE = join(ROOT, '.cache', 'cdk-assemblies');
const KEPT_MAX = 3;
/** What a stack is made of. */
const SOURCES = ['{cdk,functions,shared}/**/*.ts', 'cdk.json', 'package.json', 'package-lock.json'];

export const STACK = 'leat-local';
const PROPERTIES = { name: 'local', retain: 'false' };

export interface Assembly {
  readonly dir: string;
  /** Changes with anything that the stack is made of. */
  readonly digest: string;
}

/** The stack as templates and bundles, made once of the sources as they are: it takes some seconds. */
export async function assembly(): Promise<Assembly> {
  const digest = digestOfSources();
  const dir = join(CACHE, digest);
  if (!isThere(dir)) {
    const unfinished = `${dir}.${process.pid}`;
    const context = Object.entries(PROPERTIES).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    await cdk(['synth', '--quiet', '--output', unfinished, ...context], {});
    keep(unfinished, dir);
  }
  const now = new Date();
  utimesSync(dir, now, now);
  forgetOld();
  return { dir, digest };
}

function digestOfSources(): string {
  const hash = createHash('sha256');
  const files = globSync(SOURCES, { cwd: ROOT }).filter((file) => !file.endsWith('.test.ts'));
  for (const file of files.toSorted()) hash.update(`${file}\0`).update(readFileSync(join(ROOT, file)));
  return hash.digest('hex').slice(0, 16);
}

/** Of two processes that make the same, the first one's is kept. */
function keep(unfinished: string, dir: string): void {
  try {
    renameSync(unfinished, dir);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    if (!isThere(dir)) throw error;
  }
}

function forgetOld(): void {
  const usedAt = (dir: string) => statSync(dir, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  mkdirSync(CACHE, { recursive: true });
  const all = globSync('*', { cwd: CACHE }).map((name) => join(CACHE, name));
  for (const dir of all.toSorted((a, b) => usedAt(b) - usedAt(a)).slice(KEPT_MAX)) {
    rmSync(dir, { recursive: true, force: true });
  }
}

const isThere = (dir: string) => statSync(dir, { throwIfNoEntry: false }) !== undefined;
