import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Daemon } from '../support/daemon.ts';
import { type MountStage, openMountStage } from '../support/mounted.ts';
import { run } from '../support/run.ts';
import { HAS_STRICT_S3, type S3Server, startS3Server } from '../support/s3-server.ts';

interface Program {
  readonly script: string;
  readonly needs: readonly string[];
  /** Closes so many files, each of which a store gets, that it runs on stores with `LEAT_TEST_FULL=1` alone. */
  readonly isLong?: boolean;
}

/** What people run, as they run it: a script each, which takes a folder, a tree of files to work with, and a folder that is not ours. */
const PROGRAMS: Readonly<Record<string, Program>> = {
  git: { script: 'git.sh', needs: ['git'], isLong: true },
  npm: { script: 'npm.sh', needs: ['npm'], isLong: true },
  cargo: { script: 'cargo.sh', needs: ['cargo', 'cc'], isLong: true },
  tar: { script: 'tar.sh', needs: ['tar', 'diff'] },
  rsync: { script: 'rsync.sh', needs: ['rsync'] },
  'editors that save': { script: 'saves.py', needs: ['python3'] },
  sqlite: { script: 'sqlite.py', needs: ['python3'] },
};
const PLACES = {
  'the root of a namespace': '',
  'a mounted folder': 'folder',
  ...(HAS_STRICT_S3 && { 'a mounted bucket': 's3' }),
};
const SCRIPTS = new URL('./programs/', import.meta.url).pathname;
const IS_FULL = process.env['LEAT_TEST_FULL'] !== undefined;
const SAMPLE = new URL(IS_FULL ? '../../shared/' : '../../shared/model/', import.meta.url).pathname;
const TIMEOUT_MS = 600_000;

const isThere = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

let stage: MountStage;
let server: S3Server;
let daemon: Daemon;

beforeAll(async () => {
  stage = await openMountStage();
  server = await startS3Server();
  const source = join(stage.folder, 'source');
  await mkdir(source);
  daemon = await stage.start([`folder=${source}`, `s3=s3://${await server.newBucket()}`], {
    args: ['--option', `s3.endpoint=${server.endpoint}`],
    env: server.env,
  });
});
afterAll(async () => {
  await daemon.stop();
  await stage.clear();
  await server.stop();
});

for (const [name, { script, needs, isLong }] of Object.entries(PROGRAMS)) {
  const missing = needs.filter((one) => !isThere(one));
  if (missing.length > 0) console.log(`left out: ${name}, because this machine has no ${missing.join(' and no ')}`);
  const places = Object.entries(PLACES).filter(([, at]) => at === '' || isLong !== true || IS_FULL);
  describe.skipIf(missing.length > 0)(`${name}`, { timeout: TIMEOUT_MS }, () => {
    it.each(places)('works in %s', async (_, at) => {
      const [folder, scratch] = await Promise.all(
        [join(stage.at, at), stage.folder].map((parent) => mkdtemp(join(parent, 'programs-'))),
      );
      const interpreter = script.endsWith('.py') ? 'python3' : 'sh';
      const ran = await run(interpreter, [join(SCRIPTS, script), folder ?? '', SAMPLE, scratch ?? '']);
      expect(ran).toMatchObject({ code: 0, stderr: '' });
    });
  });
}
