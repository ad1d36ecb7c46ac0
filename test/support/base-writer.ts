import { openSync, writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { PAGE_BYTES } from '#agent/cache/page-map.ts';
import { BaseBlocks } from '#agent/dirty/base-blocks.ts';

/** A thread that writes each page of a base as a whole, at the moment at which another brings it. */
const { memory, path, file, turn } = workerData as {
  readonly memory: SharedArrayBuffer;
  readonly path: string;
  readonly file: string;
  /** Twice the number of the page, and one more when it is this thread that waits. */
  readonly turn: Int32Array;
};
const blocks = new BaseBlocks(path, memory);
const fd = openSync(file, 'r+');
const bytes = Buffer.alloc(PAGE_BYTES, 'written');
for (let offset = 0, at = 0; offset < blocks.baseBytes; offset += PAGE_BYTES, at += 2) {
  Atomics.store(turn, 0, at + 1);
  while (Atomics.load(turn, 0) < at + 2);
  blocks.change({ offset, length: PAGE_BYTES }, () => writeSync(fd, bytes, 0, PAGE_BYTES, offset));
}
