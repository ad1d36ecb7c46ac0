import { parentPort } from 'node:worker_threads';
import { openRows } from '#agent/embedded/lmdb-rows.ts';
import { ROOT } from '#shared/model/ids.ts';
import { decodeRow } from '#shared/model/row-codec.ts';

/** Answers each name it is sent with the version of that row in the root, as a process or as a thread. `row-reader.ts FILE [asleep]` */
const rows = openRows(process.argv[2] ?? '');

function versionOf(name: string): number | undefined {
  rows.refresh();
  const bytes = rows.get(ROOT, name);
  const version = bytes && decodeRow(bytes).version;
  rows.refresh();
  return version;
}

/** As the thread that serves FUSE: in a system call between requests, and never in its event loop. */
function sleep(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

const isSleeper = process.argv[3] === 'asleep';

function answer(name: string): void {
  parentPort?.postMessage(versionOf(name));
  if (isSleeper) sleep();
}

if (parentPort) parentPort.on('message', answer);
else process.on('message', (name: string) => process.send?.(versionOf(name)));
