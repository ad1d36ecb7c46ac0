/**
 * The cold baseline, run as a child process: the mount's own store driver fetches the same objects into plain files, with
 * the same number in flight and no file system of ours between. What the mount loses against it is what FUSE and the cache cost.
 *
 *     node test/bench/fetch.ts S3_URI NAMES_FILE IN_FLIGHT TARGET_FOLDER     whole objects
 *     node test/bench/fetch.ts S3_URI KEY:BYTES IN_FLIGHT TARGET_FOLDER      one object in ranges of 8 MiB
 */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { StoreKey } from '#shared/model/inode.ts';
import { openUnderStore } from '#shared/under-stores/open.ts';

const RANGE_BYTES = 8 << 20;

interface Piece {
  readonly key: string;
  readonly offset: number;
  readonly length: number;
}

const [uri = '', what = '', inFlight = '4', target = ''] = process.argv.slice(2);
const endpoint = process.env['LEAT_BENCH_ENDPOINT'];
const store = openUnderStore({ uri, options: endpoint === undefined ? {} : { 's3.endpoint': endpoint } });
mkdirSync(target, { recursive: true });

function pieces(): Piece[] {
  if (existsSync(what)) {
    const names = readFileSync(what, 'utf8').split('\n');
    return names.map((name) => ({ key: `small/${name}`, offset: 0, length: RANGE_BYTES }));
  }
  const [key = '', size = '0'] = what.split(':');
  const count = Math.ceil(Number(size) / RANGE_BYTES);
  return Array.from({ length: count }, (_, i) => ({ key, offset: i * RANGE_BYTES, length: RANGE_BYTES }));
}

async function fetchPiece({ key, offset, length }: Piece): Promise<number> {
  const fd = openSync(join(target, key.replaceAll('/', '-')), offset === 0 ? 'w' : 'a+');
  let at = offset;
  await store.read(key as StoreKey, { offset, length }, (bytes) => {
    at += writeSync(fd, bytes, 0, bytes.length, at);
  });
  closeSync(fd);
  return at - offset;
}

const work = pieces();
let next = 0;
let bytes = 0;
await store.stat('warm-up' as StoreKey); // connections and credentials are not what is compared
const cpu = process.cpuUsage();
const start = performance.now();
await Promise.all(
  Array.from({ length: Number(inFlight) }, async () => {
    for (let i = next++; i < work.length; i = next++) {
      const piece = work[i];
      const got = piece ? await fetchPiece(piece) : 0;
      bytes += got;
    }
  }),
);
const seconds = (performance.now() - start) / 1000;
const used = process.cpuUsage(cpu);
await store.close();
console.log(JSON.stringify({ seconds, bytes, operations: work.length, cpuSeconds: (used.user + used.system) / 1e6 }));
