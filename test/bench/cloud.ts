import { lstatSync, mkdirSync, mkdtempSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dynamoMetastore } from '#functions/drivers/dynamodb.ts';
import { dynamoClient } from '#functions/drivers/dynamodb-client.ts';
import { drawnId } from '#functions/drivers/ids.ts';
import { type Name, parsePath } from '#shared/model/names.ts';
import type { Change } from '#shared/ports/metastore.ts';
import { startLocalCloud } from '../../localstack/local-cloud.ts';
import { startDaemon } from '../support/daemon.ts';
import { createTable, DYNAMODB_LOCAL } from '../support/dynamodb-engine.ts';
import { openShared } from '../support/shared-namespace.ts';
import { median } from './measure.ts';

/**
 * `node test/bench/cloud.ts`: files made in one directory of a table in DynamoDB Local, by 1 and by 64 creators, beside bare
 * conditional puts through the same driver; and how long two agents on a local cloud take to show each other's changes.
 */
const CREATORS = 64;
const FILES = 640;
const ROUNDS = 3;
const SAMPLES = 200;
const PATIENCE_MS = 60_000;
const ROOT = { uid: 0, gid: 0, groups: [] };

const quantile = (times: readonly number[], part: number) =>
  times.toSorted((a, b) => a - b)[Math.floor((times.length - 1) * part)] ?? Number.NaN;

/** So many a second, with `width` at a time. */
async function rate(width: number, act: (i: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const since = performance.now();
  const lane = async () => {
    while (next < FILES) await act(next++);
  };
  await Promise.all(Array.from({ length: width }, lane));
  return (FILES * 1000) / (performance.now() - since);
}

async function creators(): Promise<void> {
  Object.assign(process.env, { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'bench', AWS_SECRET_ACCESS_KEY: 'bench' });
  const engine = await DYNAMODB_LOCAL.start();
  if (!engine) throw new Error('DynamoDB Local needs Java and Maven');
  const client = dynamoClient({ endpoint: engine.endpoint });
  try {
    await createTable(client, 'bench');
    const clock = Date.now;
    const metastore = dynamoMetastore({ client, table: 'bench', clock, sleep, random: Math.random });
    const namespace = await openShared({ metastore, clock, log: console.error });
    const results = new Map<string, number[]>();
    for (let round = -1; round < ROUNDS; round++) {
      for (const width of [1, CREATORS]) {
        const at = `/r${round + 1}-${width}`;
        await namespace.mkdir(ROOT, parsePath(at), { mode: 0o755 });
        const row = await namespace.create(ROOT, parsePath(`${at}/first`), { mode: 0o644 });
        const directory = drawnId();
        const put = (i: number): Change[] => [
          { act: 'put', key: { directory, name: `f${i}` as Name }, when: 'absent', row },
        ];
        const bare = await rate(width, (i) => metastore.commit(put(i)));
        const made = await rate(width, (i) => namespace.create(ROOT, parsePath(`${at}/f${i}`), { mode: 0o644 }));
        if (round < 0) continue; // the engine compiles itself in the first
        results.set(`put ${width}`, [...(results.get(`put ${width}`) ?? []), bare]);
        results.set(`create ${width}`, [...(results.get(`create ${width}`) ?? []), made]);
      }
    }
    const of = (what: string) => median(results.get(what) ?? []);
    for (const width of [1, CREATORS]) {
      const [bare, made] = [of(`put ${width}`), of(`create ${width}`)];
      const ratio = (made / bare).toFixed(2);
      console.log(
        `${String(width).padStart(2)} at a time: ${made.toFixed(0)} creates/s, ${bare.toFixed(0)} bare puts/s: ${ratio}`,
      );
    }
    console.log(`${CREATORS} creators against 1: ${(of(`create ${CREATORS}`) / of('create 1')).toFixed(2)}`);
    await namespace.close();
  } finally {
    client.destroy();
    await engine.stop();
  }
}

/** Milliseconds until a look at the other mount shows it. */
async function untilShown(look: () => boolean): Promise<number> {
  const since = performance.now();
  while (!look()) {
    if (performance.now() - since > PATIENCE_MS) throw new Error('it never showed');
    await sleep(1);
  }
  return performance.now() - since;
}

const isThere = (at: string) => lstatSync(at, { throwIfNoEntry: false }) !== undefined;

async function visibility(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'leat-bench-'));
  const cloud = await startLocalCloud({ dir: join(dir, 'cloud') });
  const start = (name: string) =>
    startDaemon({
      stores: [],
      at: join(dir, name, 'mnt'),
      data: join(dir, name, 'data'),
      args: ['--join', cloud.url],
      env: cloud.env,
    });
  mkdirSync(join(dir, 'a'));
  mkdirSync(join(dir, 'b'));
  const [a, b] = [await start('a'), await start('b')];
  try {
    const times = { mkdir: [] as number[], rename: [] as number[], rmdir: [] as number[] };
    for (let i = 0; i < SAMPLES; i++) {
      mkdirSync(join(a.at, `d${i}`));
      times.mkdir.push(await untilShown(() => isThere(join(b.at, `d${i}`))));
      renameSync(join(a.at, `d${i}`), join(a.at, `e${i}`));
      times.rename.push(await untilShown(() => isThere(join(b.at, `e${i}`)) && !isThere(join(b.at, `d${i}`))));
      rmdirSync(join(a.at, `e${i}`));
      times.rmdir.push(await untilShown(() => !isThere(join(b.at, `e${i}`))));
    }
    for (const [what, each] of Object.entries(times)) {
      const [p50, p99] = [quantile(each, 0.5), quantile(each, 0.99)];
      console.log(
        `${what.padEnd(6)} shows at the other agent after p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
      );
    }
  } finally {
    await a.stop();
    await b.stop();
    await cloud.stop();
    rmSync(dir, { recursive: true });
  }
}

console.log(`load of this machine: ${loadavg()[0]?.toFixed(1)}`);
await creators();
await visibility();
