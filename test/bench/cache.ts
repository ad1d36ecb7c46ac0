import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  futimesSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DataCache, Fetch } from '#agent/cache/data-cache.ts';
import { dataCache } from '#agent/cache/data-cache.ts';
import { openSealed, UNSYNCED_STAMP } from '#agent/cache/sealed.ts';
import { sequentialId } from '#shared/model/ids.ts';

/**
 * What the data cache costs by itself: the store is a buffer in memory. Each figure stands beside the same system calls made
 * bare. `node test/bench/cache.ts [--files 100000]`
 */
const { values } = parseArgs({ options: { files: { type: 'string', default: '100000' } } });
const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const SMALL = 100 * KIB;
const buffer = new Uint8Array(256 * KIB).fill(7);
const dir = mkdtempSync(join(tmpdir(), 'leat-bench-'));
const rows: string[][] = [];

const fetch: Fetch = async (range, sink, signal) => {
  for (let at = 0; at < range.length; at += buffer.length) {
    // A turn of the event loop for each piece, as sockets have.
    if (at > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    sink(buffer.subarray(0, Math.min(buffer.length, range.length - at)));
  }
};

function start(name: string): DataCache {
  return dataCache({
    dir: join(dir, name),
    capacityBytes: 8 * GIB,
    filesMax: 1_000_000,
    memoryBytes: 32 * MIB,
    identity: 'bench',
    clock: () => performance.timeOrigin + performance.now(),
    onEvicted: () => {},
    log: console.error,
  });
}

const key = (number: number) => ({ id: sequentialId(number), generation: 0 });

async function timed(act: () => Promise<void> | void): Promise<{ wallMs: number; cpuMs: number }> {
  const cpu = process.cpuUsage();
  const began = performance.now();
  await act();
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs: performance.now() - began, cpuMs: (user + system) / 1000 };
}

async function smallMisses(count: number, bytes: number): Promise<void> {
  const cache = start(`small-${bytes}`);
  const load = async (number: number) => {
    const file = cache.open(key(number), bytes, fetch);
    await file.load();
    file.close();
  };
  for (let number = 0; number < 1000; number++) await load(10_000_000 + number);
  const ours = await timed(async () => {
    for (let number = 0; number < count; number++) await load(number);
  });
  const bare = await timed(() => {
    for (let number = 0; number < count; number++) {
      const fd = openSync(
        `${dir}/bare-${bytes}-${number}`,
        constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
        0o600,
      );
      writeSync(fd, buffer, 0, bytes, 0);
      futimesSync(fd, UNSYNCED_STAMP, UNSYNCED_STAMP);
      closeSync(fd);
    }
  });
  const opens = await timed(() => {
    for (let number = 0; number < count; number++)
      closeSync(openSealed(join(dir, `small-${bytes}`), key(number), bytes) ?? -1);
  });
  const bareOpens = await timed(() => {
    for (let number = 0; number < count; number++) {
      const fd = openSync(`${dir}/bare-${bytes}-${number}`, 'r');
      fstatSync(fd);
      closeSync(fd);
    }
  });
  const perFile = ({ wallMs, cpuMs }: { wallMs: number; cpuMs: number }) =>
    `${((wallMs * 1000) / count).toFixed(1)} µs, ${((cpuMs * 1000) / count).toFixed(1)} µs CPU`;
  rows.push([`load ${bytes / KIB} KiB (${count} files)`, perFile(ours), perFile(bare)]);
  rows.push(['openSealed + close', perFile(opens), perFile(bareOpens)]);
  await cache.close();
}

/** Twice, and the second time counts: a virtual machine pays dearly for memory that it touches for the first time. */
async function stream(): Promise<void> {
  const cache = start('stream');
  const into = new Uint8Array(MIB);
  const readAll = async () => {
    const file = cache.open(key(1), GIB, fetch);
    for (let offset = 0; offset < GIB; offset += MIB) await file.read(into, offset);
    file.close();
  };
  await readAll();
  cache.drop(key(1));
  const cold = await timed(readAll);
  const again = await timed(readAll);
  cache.drop(key(1));
  const fd = openSync(`${dir}/bare`, 'w+');
  const writeAll = () => {
    for (let offset = 0; offset < GIB; offset += buffer.length) {
      writeSync(fd, buffer, 0, buffer.length, offset);
      if (offset % MIB === MIB - buffer.length) readSync(fd, into, 0, MIB, offset - (offset % MIB));
    }
  };
  writeAll();
  ftruncateSync(fd, 0);
  const bareCold = await timed(writeAll);
  const bareAgain = await timed(() => {
    for (let offset = 0; offset < GIB; offset += MIB) readSync(fd, into, 0, MIB, offset);
  });
  closeSync(fd);
  const perGiB = ({ wallMs, cpuMs }: { wallMs: number; cpuMs: number }) =>
    `${(GIB / MIB / (wallMs / 1000)).toFixed(0)} MiB/s, ${(cpuMs / 1000).toFixed(2)} CPU s/GiB`;
  rows.push(['1 GiB cold, 1 MiB reads', perGiB(cold), perGiB(bareCold)]);
  rows.push(['1 GiB again', perGiB(again), perGiB(bareAgain)]);
  await cache.close();
}

async function restart(count: number): Promise<void> {
  const first = start('many');
  for (let number = 0; number < count; number++) {
    const file = first.open(key(number), 10, fetch);
    await file.load();
    file.close();
  }
  await first.close();
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  let longestMs = 0;
  let last = performance.now();
  const watch = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - last);
    last = performance.now();
  }, 1);
  let cache: DataCache | undefined;
  const took = await timed(async () => {
    cache = start('many');
    const probe = cache.open(key(count + 1), 10, fetch);
    await probe.load();
    probe.close();
  });
  clearInterval(watch);
  globalThis.gc?.();
  const bytes = (process.memoryUsage().rss - before) / count;
  rows.push([
    `scan of ${cache?.usage().files} files at start-up`,
    `${took.wallMs.toFixed(0)} ms, ${took.cpuMs.toFixed(0)} ms CPU, longest pause ${longestMs.toFixed(1)} ms`,
    '',
  ]);
  rows.push(['index memory per file', `${bytes.toFixed(0)} B (rss)`, '']);
  await cache?.close();
}

try {
  await smallMisses(10_000, SMALL);
  await smallMisses(10_000, 4 * KIB);
  await stream();
  await restart(Number(values.files));
  console.log('| what | cache | bare system calls |\n|---|---|---|');
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
} finally {
  rmSync(dir, { recursive: true });
}
