import { mkdtempSync, readFileSync, rmSync, statSync, mkdirSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { heapMetastore } from '#agent/embedded/heap-metastore.ts';
import { lmdbMetastore } from '#agent/embedded/lmdb-metastore.ts';
import { orderedTokens } from '#shared/model/tokens.ts';
import { joinPath, type Name, type Path } from '#shared/model/names.ts';
import { createNamespace, type RunningNamespace } from '#shared/namespace/create-namespace.ts';
import type { Actor } from '#shared/namespace/namespace.ts';
import { deepStore, FAN_OUT, leafFile, leafPath } from '../support/deep-store.ts';
import { bareRows } from './bare-rows.ts';

/**
 * The namespace at size, on LMDB: a directory filled by `create`, and a deep tree that a store's listings bring. Each figure is
 * taken at 1 % and at 100 %, beside LMDB bare with the same rows.
 * `node test/bench/namespace.ts [--directory 1000000] [--tree 10000000] [--callers 64] [--dir FOLDER] [--metastore heap]`
 */
const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: '1000000' },
    tree: { type: 'string', default: '10000000' },
    callers: { type: 'string', default: '64' },
    dir: { type: 'string', default: tmpdir() },
    metastore: { type: 'string', default: 'lmdb' },
  },
});
const FILES = Number(values.directory);
const TREE_FILES = Number(values.tree);
const CALLERS = Number(values.callers);
const LISTERS = 8;
const STATS = 20_000;
const LISTS = 200;
const PAGE = 1000;
const MIB = 2 ** 20;
const ACTOR: Actor = { uid: 0, gid: 0, groups: [] };
const DIRECTORY = '/directory' as Path;
const RENAMED = '/renamed' as Path;
const TREE = '/tree' as Path;

mkdirSync(values.dir, { recursive: true });
const folder = mkdtempSync(join(values.dir, 'leat-bench-'));
const feed = localFeed();
const clock = () => performance.timeOrigin + performance.now();
const metastore =
  values.metastore === 'heap'
    ? heapMetastore({ feed, clock })
    : lmdbMetastore({ dir: folder, feed, clock, durability: 'relaxed' });
const rows: string[][] = [];
let kept = 0;
let reclaimed = 0;
feed.subscribe(({ changes }) => {
  for (const { before, after } of changes) {
    if (!before) kept++;
    else if (!after) reclaimed++;
  }
});

const nameOf = (number: number) => `file-${String(number).padStart(8, '0')}` as Name;
const random = (below: number) => Math.floor(Math.random() * below);

async function run(): Promise<void> {
  const namespace = await createNamespace({
    metastore,
    newId: metastore.newId,
    clock,
    sleep: (ms) => sleep(ms),
    newToken: orderedTokens(clock),
    storeOf: () => deepStore(TREE_FILES),
    owner: ACTOR,
    log: console.error,
  });
  await fillDirectory(namespace);
  await fillTree(namespace);
  await report('rows in all, disk', async () => {
    await metastore.flushed();
    const bytes = metastore.rowsFile === undefined ? 0 : statSync(metastore.rowsFile).blocks * 512;
    return `${kept.toLocaleString('en')} rows, ${(bytes / MIB).toFixed(0)} MiB, ${(bytes / kept).toFixed(0)} B/row`;
  });
  await report('memory of the process', async () => memory());
  await moveAndRemove(namespace);
  await namespace.close();
}

/** Runs something for each number, with so many at a time. */
async function each(from: number, to: number, callers: number, act: (number: number) => Promise<unknown>) {
  let next = from;
  const caller = async () => {
    for (let number = next++; number < to; number = next++) await act(number);
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

interface Rate {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

async function rated(count: number, act: () => Promise<unknown>): Promise<Rate> {
  const cpu = process.cpuUsage();
  const began = performance.now();
  await act();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: count / seconds, cpuMicros: (user + system) / count };
}

const rateText = ({ perSecond, cpuMicros }: Rate) => `${perSecond.toFixed(0)}/s, ${cpuMicros.toFixed(1)} µs CPU`;

async function fillDirectory(namespace: RunningNamespace): Promise<void> {
  await namespace.mkdir(ACTOR, DIRECTORY, { mode: 0o755 });
  const create = (number: number) => namespace.create(ACTOR, joinPath(DIRECTORY, nameOf(number)), { mode: 0o644 });
  const few = Math.ceil(FILES / 100);
  const one = await rated(few / 2, () => each(0, few / 2, 1, create));
  const small = await rated(few / 2, () => each(few / 2, few, CALLERS, create));
  const at1 = await lookups(namespace, few);
  const pause = pauses();
  const large = await rated(FILES - few, () => each(few, FILES, CALLERS, create));
  const longest = pause();
  const at100 = await lookups(namespace, FILES);
  const bare = await bareRows(folder, FILES, nameOf);
  row('create, 1 caller', rateText(one), '', '');
  row(`create, ${CALLERS} callers`, rateText(small), rateText(large), `put: ${bare.put}`);
  row('longest pause of the event loop meanwhile', '', longest, '');
  row('stat in the directory, p50 / p99', at1.stat, at100.stat, `get: ${bare.get}`);
  row('list of 1,000, p50 / p99', at1.list, at100.list, `range: ${bare.list}`);
  row('bytes per row, bare', '', '', bare.disk);
}

async function lookups(namespace: RunningNamespace, count: number) {
  // Rows are confirmed while they are young; what is measured here are settled ones.
  const stat = await latency(STATS, () => namespace.stat(ACTOR, joinPath(DIRECTORY, nameOf(random(count)))));
  const list = await latency(LISTS, () => {
    const after = nameOf(random(Math.max(1, count - PAGE)));
    return namespace.list(ACTOR, DIRECTORY, { after, limit: PAGE });
  });
  return { stat, list };
}

async function fillTree(namespace: RunningNamespace): Promise<void> {
  const mount = { uri: `deep:${TREE_FILES}`, readOnly: false, syncIntervalMs: -1, options: {} };
  await namespace.mkdir(ACTOR, TREE, { mode: 0o755 });
  await namespace.mount(ACTOR, { path: TREE, ...mount });
  const leaves = Math.ceil(TREE_FILES / FAN_OUT);
  const touch = (leaf: number) => namespace.list(ACTOR, leafPath(TREE, TREE_FILES, leaf), { limit: 1 });
  const few = Math.ceil(leaves / 100);
  const look = async (count: number) => ({
    stat: await latency(STATS, () => {
      const directory = leafPath(TREE, TREE_FILES, random(count));
      return namespace.stat(ACTOR, joinPath(directory, leafFile(random(FAN_OUT))));
    }),
    list: await latency(LISTS * 5, () =>
      namespace.list(ACTOR, leafPath(TREE, TREE_FILES, random(count)), { limit: PAGE }),
    ),
  });
  const small = await rated(few * FAN_OUT, () => each(0, few, LISTERS, touch));
  const at1 = await look(few);
  const pause = pauses();
  const large = await rated((leaves - few) * FAN_OUT, () => each(few, leaves, LISTERS, touch));
  const longest = pause();
  const at100 = await look(leaves);
  row(`rows that listings bring, ${LISTERS} at a time`, rateText(small), rateText(large), '');
  row('longest pause of the event loop meanwhile', '', longest, '');
  row('stat in the tree, p50 / p99', at1.stat, at100.stat, '');
  row(`list of ${FAN_OUT} in the tree, p50 / p99`, at1.list, at100.list, '');
}

async function moveAndRemove(namespace: RunningNamespace): Promise<void> {
  await report(`rename of the directory of ${FILES.toLocaleString('en')}`, () =>
    took(() => namespace.rename(ACTOR, DIRECTORY, RENAMED)),
  );
  const inTree = () => {
    const directory = leafPath(TREE, TREE_FILES, random(TREE_FILES / FAN_OUT));
    return namespace.stat(ACTOR, joinPath(directory, leafFile(random(FAN_OUT))));
  };
  await report('removeTree of it returns after', () => took(() => namespace.removeTree(ACTOR, RENAMED)));
  // The reclaimer leaves it alone for a lease; what it is measured by are the removals in the feed.
  const before = reclaimed;
  while (reclaimed === before) await sleep(10);
  const pause = pauses();
  const samples: number[] = [];
  const reclaim = await rated(FILES, async () => {
    while (reclaimed < before + FILES) {
      const began = performance.now();
      await inTree();
      samples.push(performance.now() - began);
      await sleep(1);
    }
  });
  await report('reclaim behind', async () => rateText(reclaim));
  await report('stat during reclaim, p50 / p99', async () => percentiles(samples));
  await report('longest pause of the event loop meanwhile', async () => pause());
}

async function latency(count: number, act: () => Promise<unknown>): Promise<string> {
  for (let i = 0; i < count / 10; i++) await act();
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await act();
    samples.push(performance.now() - began);
  }
  return percentiles(samples);
}

function percentiles(samples: number[]): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number) => ((sorted[Math.floor(sorted.length * part)] ?? Number.NaN) * 1000).toFixed(0);
  return `${at(0.5)} / ${at(0.99)} µs`;
}

/**
 * Begins to watch for turns of the event loop that take long; the answer ends it. Beside other work of the machine much of a
 * turn is spent waiting for a processor, so its own part is said too.
 */
function pauses(): () => string {
  const longest = { wall: 0, cpu: 0 };
  let last = { wall: performance.now(), cpu: threadCpu() };
  const watch = setInterval(() => {
    const now = { wall: performance.now(), cpu: threadCpu() };
    longest.wall = Math.max(longest.wall, now.wall - last.wall);
    longest.cpu = Math.max(longest.cpu, now.cpu - last.cpu);
    last = now;
  }, 1);
  return () => {
    clearInterval(watch);
    return `${longest.wall.toFixed(0)} ms, with at most ${longest.cpu.toFixed(0)} ms CPU`;
  };
}

function threadCpu(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

async function took(act: () => Promise<unknown>): Promise<string> {
  const began = performance.now();
  await act();
  return `${(performance.now() - began).toFixed(1)} ms`;
}

/** Pages of the LMDB file that are mapped are the kernel's to take back. */
function memory(): string {
  const status = readFileSync('/proc/self/status', 'utf8');
  const mib = (field: string) => (Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024).toFixed(0);
  return `${mib('RssAnon')} MiB, and ${mib('RssFile')} MiB of files mapped`;
}

function row(what: string, ...columns: string[]): void {
  rows.push([what, ...columns]);
  console.error([what, ...columns].join(' | '));
}

async function report(what: string, measure: () => Promise<string>): Promise<void> {
  row(what, '', await measure(), '');
}

try {
  console.error(
    `${cpus().length} × ${cpus()[0]?.model}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`,
  );
  await run();
  await metastore.close();
  console.log('| what | at 1 % | at 100 % | LMDB bare |\n|---|---|---|---|');
  for (const columns of rows) console.log(`| ${columns.join(' | ')} |`);
} finally {
  rmSync(folder, { recursive: true });
}
