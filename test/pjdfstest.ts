/**
 * Runs pjdfstest on a mount of its own, and says per group how many assertions fail.
 *
 *     npm run pjdfstest -- CHECKOUT [STORE] [--only rename,chmod/12] [--on FOLDER] [--set NAME=VALUE] [--option NAME=VALUE]
 *
 * CHECKOUT is a built checkout of it (docs/posix.md says how), STORE an URI that is mounted for it; without one the files lie
 * only in the namespace. `--on` runs it in a folder of the machine instead, for comparison. Needs root.
 */
import { chmodSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startDaemon } from './support/daemon.ts';
import { run } from './support/run.ts';

/** What TAP, the format of its output, calls an assertion of which it is known that it fails. */
const EXPECTED_TO_FAIL = '# TODO';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    on: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    option: { type: 'string', multiple: true, default: [] },
  },
});
const [checkout, store] = positionals;
if (checkout === undefined)
  throw new Error('say where a built checkout of pjdfstest is; docs/posix.md tells how to make one');
const tests = join(resolve(checkout), 'tests');
const files = globSync('*/*.t', { cwd: tests })
  .toSorted()
  .filter((file) => values.only?.split(',').some((part) => file.startsWith(part)) ?? true);

/** Others are to reach it, as the tests are other users now and then. */
const folder = mkdtempSync(join(tmpdir(), 'leat-pjdfstest-'));
chmodSync(folder, 0o755);
const daemon = values.on === undefined ? await startMount() : undefined;
try {
  // Some paths are as long as paths can be, from here on.
  const work = daemon?.at ?? mkdtempSync(join(resolve(values.on ?? folder), 'pjdfstest-'));
  if (!daemon) chmodSync(work, 0o755);
  const groups = Map.groupBy(files, (file) => file.split('/', 1)[0] ?? '');
  console.log('| group | assertions | failed |\n|---|---|---|');
  const all: Counted[] = [];
  for (const [group, own] of groups) {
    const results: Counted[] = [];
    for (const file of own) results.push(await ran(work, file));
    const counted = { run: sum(results.map(({ run }) => run)), failed: sum(results.map(({ failed }) => failed)) };
    console.log(`| ${group} | ${counted.run} | ${counted.failed} |`);
    all.push(counted);
  }
  console.log(`| all | ${sum(all.map(({ run }) => run))} | ${sum(all.map(({ failed }) => failed))} |`);
  if (!daemon) rmSync(work, { recursive: true });
} finally {
  await daemon?.stop();
  rmSync(folder, { recursive: true });
}

interface Counted {
  readonly run: number;
  readonly failed: number;
}

function startMount() {
  const named = (text: string) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)] as const;
  return startDaemon({
    stores: store === undefined ? [] : [store],
    at: join(folder, 'mnt'),
    data: join(folder, 'data'),
    set: Object.fromEntries(values.set.map(named)),
    args: values.option.flatMap((text) => ['--option', text]),
  });
}

/** What fails is told. A file that ends before its plan does has failed in all that is missing. */
async function ran(work: string, file: string): Promise<Counted> {
  const { stdout } = await run('sh', ['-c', 'cd "$0" && exec sh "$1"', work, join(tests, file)]);
  const lines = stdout.split('\n');
  const planned = Number(/^1\.\.(\d+)/m.exec(stdout)?.[1] ?? 0);
  const bad = lines.filter((line) => line.startsWith('not ok') && !line.includes(EXPECTED_TO_FAIL));
  for (const line of bad) console.error(`${file}: ${line}`);
  const told = lines.filter((line) => /^(not )?ok/.test(line)).length;
  return { run: Math.max(planned, told), failed: bad.length + Math.max(0, planned - told) };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
