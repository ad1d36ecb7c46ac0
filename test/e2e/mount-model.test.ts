import { constants, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cliOn } from '../support/cli.ts';
import { type Contents, contentsOfBucket, contentsOfFolder, storedOtherwise } from '../support/contents.ts';
import { type FileAct, fileAct } from '../support/file-acts.ts';
import { type MountStage, openMountStage } from '../support/mounted.ts';
import { HAS_PYTHON } from '../support/run.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { FULL, type SideBySide, sideBySide } from '../support/side-by-side.ts';
import { upload } from '../support/upload.ts';

/**
 * Random operations in the mount and in a plain folder, side by side. `LEAT_TEST_FULL=1`: for ten minutes each;
 * `LEAT_TEST_SEED=n`: that run again.
 */
const RUN_MS = process.env['LEAT_TEST_FULL'] ? 600_000 : 6000;
const RUNS_PER_SEED = 5;
/** So long a failure is made shorter, before it is told. */
const SHRINK_MS = 60_000;
const TIMEOUT_MS = RUN_MS + 2 * SHRINK_MS;
const SEED = Number(process.env['LEAT_TEST_SEED'] ?? Date.now() % 2 ** 31);
const ACTS_MAX = 150;
/** What a store is owed is done behind. */
const STORED_MS_MAX = 20_000;
const MIB = 2 ** 20;
const CONTENTS = { stored: Buffer.from('stored '.repeat(5000)), large: Buffer.alloc(3 * MIB + 7, 'large ') };
/** Holds some pages of `large`, never all of them. */
const SMALL_CACHE = { 'cache.size': String(3 * MIB) };

type Place = 'root' | 'folder' | 'bucket';

interface Pair {
  readonly ours: string;
  readonly theirs: string;
  /** What is in the store by now; where there is none, what the mount has. */
  stored(): Promise<Contents>;
}

function makeFolder(path: string): string {
  mkdirSync(path, { recursive: true });
  for (const [name, content] of Object.entries(CONTENTS)) writeFileSync(join(path, name), content);
  return path;
}

/** Runs of random acts, each in folders of its own, until one finds a difference or the time is over. */
async function firstDifference(
  both: SideBySide,
  folders: () => Promise<Pair>,
  { mayBeFull }: { readonly mayBeFull: boolean },
): Promise<string | undefined> {
  const property = fc.asyncProperty(fc.array(fileAct, { maxLength: ACTS_MAX, size: 'max' }), async (acts) => {
    const pair = await folders();
    const difference = await both.run(acts, pair);
    if (difference !== undefined && !(difference === FULL && mayBeFull)) throw new Error(difference);
    let differing = await storedOtherwise(await pair.stored(), pair.ours);
    for (const until = Date.now() + STORED_MS_MAX; differing.length > 0 && Date.now() < until; await sleep(50))
      differing = await storedOtherwise(await pair.stored(), pair.ours);
    if (differing.length > 0) throw new Error(`in the store ${differing.join(', and ')}`);
    await rm(pair.theirs, { recursive: true });
  });
  const until = Date.now() + RUN_MS;
  for (let seed = SEED; Date.now() < until; seed++) {
    const details = await fc.check(property, { seed, numRuns: RUNS_PER_SEED, interruptAfterTimeLimit: SHRINK_MS });
    if (details.failed)
      return `LEAT_TEST_SEED=${seed}: ${fc.defaultReportMessage(details)}${String(details.errorInstance)}`;
  }
  return undefined;
}

describe.skipIf(!HAS_PYTHON)('a mount and a plain folder', { timeout: TIMEOUT_MS }, () => {
  let both: SideBySide;
  let stage: MountStage;
  let server: S3Server;
  let bucket: string;
  let count = 0;
  beforeAll(async () => {
    server = await startS3Server();
    bucket = await server.newBucket();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    stage = await openMountStage();
    both = sideBySide();
  });
  afterEach(async () => {
    await both.stop();
    await stage.clear();
  });

  const source = (name: string) => join(stage.folder, 'source', name);
  const start = (set: Readonly<Record<string, string>> = {}) => stage.start([], { set, env: server.env });
  /** New folders, of which ours lies in a store before that is mounted. */
  const newPair = async (at: Place): Promise<Pair> => {
    const name = `run-${++count}`;
    const ours = join(stage.at, name);
    makeFolder(at === 'root' ? ours : source(name));
    if (at === 'bucket') {
      await upload(
        server,
        bucket,
        source(''),
        Object.keys(CONTENTS).map((file) => `${name}/${file}`),
      );
    }
    const uri = at === 'bucket' ? `s3://${bucket}/${name}` : `file://${source(name)}`;
    const options = at === 'bucket' ? ['--option', `s3.endpoint=${server.endpoint}`] : [];
    if (at !== 'root') expect(await cliOn(stage.data)('mount', `/${name}`, uri, ...options)).toMatchObject({ code: 0 });
    const stored = {
      root: () => contentsOfFolder(ours),
      folder: () => contentsOfFolder(source(name)),
      bucket: () => contentsOfBucket(server, bucket, `${name}/`),
    }[at];
    return { ours, theirs: makeFolder(join(stage.folder, 'theirs', name)), stored };
  };

  it.each([
    { place: 'at the root of a namespace', at: 'root' as const, set: {} },
    { place: 'on a folder', at: 'folder' as const, set: {} },
    { place: 'on a bucket', at: 'bucket' as const, set: {} },
    { place: 'on a bucket, through a cache smaller than a file', at: 'bucket' as const, set: SMALL_CACHE },
  ])('are the same, $place', async ({ at, set }) => {
    console.log(`LEAT_TEST_SEED=${SEED}`);
    const daemon = await start(set);
    expect(await firstDifference(both, () => newPair(at), { mayBeFull: set === SMALL_CACHE })).toBeUndefined();
    await daemon.stop();
  });
});

/** What each does to an act, now and then. */
const PLANTED: Readonly<Record<string, (act: FileAct) => FileAct>> = {
  'a write that is lost beyond the first page': (act) =>
    act.do === 'write' && Number(act['offset']) > MIB ? { ...act, fill: 1000 } : act,
  'an append at the wrong place': (act) =>
    act.do === 'open' ? { ...act, flags: Number(act['flags']) & ~constants.O_APPEND } : act,
  'a mapping that is not shared': (act) => (act.do === 'mapWrite' ? { ...act, do: 'mapRead' } : act),
  'a truncate that is off by one': (act) =>
    act.do === 'truncate' ? { ...act, size: Math.max(0, Number(act['size']) - 1) } : act,
  'a link that is a copy': (act) => (act.do === 'link' ? { ...act, do: 'symlink', target: act['path'] } : act),
};

describe.skipIf(!HAS_PYTHON)('what is planted', () => {
  it.each(Object.keys(PLANTED))('is found: %s', async (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'leat-planted-'));
    const both = sideBySide(PLANTED[name]);
    const acts = fc.array(fileAct, { minLength: ACTS_MAX, maxLength: ACTS_MAX });
    let difference: string | undefined;
    for (let seed = 1; difference === undefined; seed++) {
      const [sample = []] = fc.sample(acts, { numRuns: 1, seed });
      const [ours, theirs] = ['ours', 'theirs'].map((side) => makeFolder(join(folder, side, String(seed))));
      difference = await both.run(sample, { ours: ours ?? '', theirs: theirs ?? '' });
    }
    expect(difference).toMatch(/should/);
    await both.stop();
    await rm(folder, { recursive: true });
  });
});
