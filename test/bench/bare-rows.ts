import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Key, open, type RootDatabase } from 'lmdb';
import { lmdbOptions } from '#agent/embedded/lmdb-rows.ts';
import { rangeEnd, rowKeyBytes } from '#agent/embedded/row-keys.ts';
import { sequentialId } from '#shared/model/ids.ts';
import { encodeRow } from '#shared/model/row-codec.ts';

const DIRECTORY = sequentialId(70);
const BATCH = 100;
const READS = 20_000;
const LISTS = 200;
const PAGE = 1000;

/** LMDB with the rows that `create` makes, and none of our code around it: what cannot be had for less. */
export async function bareRows(folder: string, count: number, nameOf: (number: number) => string) {
  const dir = join(folder, 'bare');
  mkdirSync(dir);
  const file = join(dir, 'bare.mdb');
  const db = open<Buffer, Key>(lmdbOptions(file));
  const keys = (number: number) => rowKeyBytes(DIRECTORY, nameOf(number));
  const began = performance.now();
  const cpu = process.cpuUsage();
  for (let first = 0; first < count; first += BATCH) {
    db.transactionSync(() => {
      for (let number = first; number < Math.min(count, first + BATCH); number++) {
        void db.put(keys(number), rowOf(number));
      }
    });
  }
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const put = `${(count / seconds).toFixed(0)}/s, ${((user + system) / count).toFixed(1)} µs CPU, ${BATCH} a transaction`;
  const get = timed(READS, () => db.getBinaryFast(keys(Math.floor(Math.random() * count))));
  const list = timed(LISTS, () => listed(db, keys(Math.floor(Math.random() * Math.max(1, count - PAGE)))));
  const disk = `${((statSync(file).blocks * 512) / count).toFixed(0)} B`;
  await db.close();
  rmSync(dir, { recursive: true });
  return { put, get, list, disk };
}

function listed(db: RootDatabase<Buffer, Key>, start: Buffer): number {
  let bytes = 0;
  for (const { value } of db.getRange({ start, end: rangeEnd(DIRECTORY), limit: PAGE })) bytes += value.length;
  return bytes;
}

function rowOf(number: number): Buffer {
  const time = BigInt(number);
  const plain = { mode: 0o644, uid: 0, gid: 0, size: 0, atime: time, mtime: time, ctime: time };
  const id = sequentialId(100 + number);
  return Buffer.from(encodeRow({ kind: 'file', id, ...plain, bornAt: number, version: 1, generation: 1 }));
}

function timed(count: number, act: () => unknown): string {
  const samples = Array.from({ length: count }, () => {
    const began = performance.now();
    act();
    return (performance.now() - began) * 1000;
  }).toSorted((a, b) => a - b);
  const at = (part: number) => (samples[Math.floor(count * part)] ?? Number.NaN).toFixed(0);
  return `${at(0.5)} / ${at(0.99)} µs`;
}
